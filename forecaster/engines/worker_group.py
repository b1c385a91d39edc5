"""Workers that fit one network together: each takes its part of every batch, and sums go to all of them.

`tf.distribute` starts the connections; sums are TensorFlow's collective operations, each under a key of its own. A strategy's
`run` would take its keys in the order in which graphs are traced, and members that are fitted at once are traced in any order.
Keras knows of no strategy: its optimizers would clip the gradients of each worker before they are summed.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forecaster.errors import DataError, UsageError, WorkerError
from forecaster.version import __version__

if TYPE_CHECKING:
    from forecaster.engines.tf_config import Cluster

START_SECONDS = 600.0  # to wait for all workers at the start, which people start by hand
SILENCE_SECONDS = 600.0  # to wait for the part of another worker: it may read its data, or compile
CONNECT_SECONDS = 2.0  # to ask whether a worker is there
_GROUP, _FIRST_KEY = 1 << 20, 1 << 20  # apart from those that the strategy takes for itself, from 1 and from 100 on
_KEYS = 32  # of a channel: one for each length of what it sums
_DIGEST_BITS = 48  # of a hash, which a float64 has exactly


class Channel(Protocol):
    """What the workers say to each other about one fit. All of them say the same things in the same order."""

    @property
    def index(self) -> int:
        """Of this worker."""

    @property
    def count(self) -> int:
        """Of all workers."""

    @property
    def key(self) -> int:
        """For `sum_in_graph`, as is the next one."""

    def sum_in_graph(self, values: Any, key: Any) -> Any:
        """The sum of every worker's values [n], in a graph that any fit may use; `key` is one of its channel's two."""

    def total(self, values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of every worker's values [n], float64."""

    def guarded(self) -> Any:
        """A context in which the loss of another worker is a WorkerError."""

    def refuse_other(self, what: str, text: str) -> None:
        """UsageError, at every worker, unless `text` is the same for all; `what` it is, for the message."""


@dataclass(frozen=True)
class NoOthers:
    """The channel of a process that trains alone."""

    index: int = 0
    count: int = 1
    key: int = 0

    def sum_in_graph(self, values: Any, key: Any) -> Any:
        """The values."""
        del key
        return values

    def total(self, values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """The values."""
        return np.asarray(values, np.float64)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Nobody can be lost."""
        yield

    def refuse_other(self, what: str, text: str) -> None:
        """Nobody has another."""


NO_OTHERS = NoOthers()


class Alone:
    """The group of a process that trains alone."""

    count = 1
    is_first = True

    def channel(self) -> Channel:
        """A channel to nobody."""
        return NO_OTHERS

    def least(self, value: int) -> int:
        """The value."""
        return value

    def refuse_differences(self, rows: str, options: Mapping[str, object]) -> None:
        """There is nobody to differ."""

    def end(self) -> None:
        """Nobody waits."""


@dataclass
class WorkerGroup:
    """The workers of a cluster, connected."""

    cluster: Cluster
    _strategy: Any = field(repr=False)  # keeps the connections
    _channels: int = 0

    @property
    def count(self) -> int:
        """Of all workers."""
        return len(self.cluster.names)

    @property
    def is_first(self) -> bool:
        """Whether this process stores the model."""
        return self.cluster.is_first

    def channel(self) -> Channel:
        """A channel for the next fit. Every worker opens the same ones in the same order."""
        self._channels += 1
        return _Collective(self.cluster, _FIRST_KEY + self._channels * _KEYS)

    def least(self, value: int) -> int:
        """The smallest value of any worker."""
        own = [float(value) if i == self.cluster.index else 0.0 for i in range(self.count)]
        return int(self.channel().total(own).min())

    def refuse_differences(self, rows: str, options: Mapping[str, object]) -> None:
        """UsageError or DataError, at every worker, unless all have the same program, rows and options."""
        names = ["version of this program", "rows", *(f"--{name.replace('_', '-')}" for name in options)]
        found = _all_digests(self.channel(), [__version__, rows, *map(repr, options.values())])  # [W, names]
        first = self.cluster.names[0]
        for i, name in enumerate(names):
            other = np.flatnonzero(found[:, i] != found[0, i])
            if len(other) and name == "rows":
                raise DataError(
                    f"{self.cluster.names[other[0]]} has other rows than {first}.", "Give all the same data."
                )
            if len(other):
                hint = "Start every worker with the same program and options."
                raise UsageError(f"{self.cluster.names[other[0]]} has another {name} than {first}.", hint)

    def end(self) -> None:
        """Wait until every worker has what it needs of this one. WorkerError, but for the first: the others may end before it."""
        try:
            self.channel().total([0.0])
        except WorkerError:
            if not self.is_first:
                raise


@dataclass
class _Collective:
    """A channel to the other workers of a cluster."""

    cluster: Cluster
    key: int
    _lengths: dict[int, int] = field(default_factory=dict)  # of what was summed -> its key

    @property
    def index(self) -> int:
        return self.cluster.index

    @property
    def count(self) -> int:
        return len(self.cluster.names)

    def sum_in_graph(self, values: Any, key: Any) -> Any:
        import tensorflow as tf

        # On the processor, also where gradients come from a GPU: they are few, and the network between hosts is slower.
        with tf.device("/cpu:0"):
            return tf.raw_ops.CollectiveReduceV2(
                input=values,
                group_size=self.count,
                group_key=_GROUP,
                instance_key=key,
                ordering_token=[],
                merge_op="Add",
                final_op="Id",
                communication_hint="ring",
                timeout_seconds=SILENCE_SECONDS,
                is_stateless=False,
            )

    def total(self, values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        import tensorflow as tf

        flat = np.asarray(values, np.float64)
        key = self._lengths.setdefault(len(flat), self.key + 2 + len(self._lengths))
        with self.guarded():
            return np.asarray(self.sum_in_graph(tf.constant(flat), tf.constant(key)))

    @contextmanager
    def guarded(self) -> Iterator[None]:
        import tensorflow as tf

        try:
            yield
        except tf.errors.OpError as error:
            if error.error_code == tf.errors.RESOURCE_EXHAUSTED:
                raise
            late = error.error_code == tf.errors.DEADLINE_EXCEEDED
            why = f"no answer for {SILENCE_SECONDS:g} s" if late else f"the connection broke: {_first_line(error)}"
            raise _lost(self.cluster, why) from None

    def refuse_other(self, what: str, text: str) -> None:
        found = _all_digests(self, [text])[:, 0]
        other = np.flatnonzero(found != found[0])
        if len(other):
            raise UsageError(
                f"{self.cluster.names[other[0]]} came to another {what} than {self.cluster.names[0]}.",
                "Take machines of one kind, with the same versions of TensorFlow and Keras.",
            )


def _all_digests(channel: Channel, texts: Sequence[str]) -> NDArray[np.float64]:
    """[W, texts] a number for each worker's text."""
    own = np.zeros((channel.count, len(texts)))
    for i, text in enumerate(texts):
        own[channel.index, i] = int.from_bytes(hashlib.sha256(text.encode()).digest()[: _DIGEST_BITS // 8], "big")
    return channel.total(own.reshape(-1)).reshape(own.shape)


def join(cluster: Cluster) -> WorkerGroup:
    """Connect to all other workers, and wait for them.

    TensorFlow must not have done anything in this process. UsageError where this worker's address cannot be used; WorkerError
    where another one does not come.
    """
    made: list[Any] = []
    failed: list[Exception] = []

    def connect() -> None:
        try:
            import tensorflow as tf
            from tensorflow.python.eager import context

            # Not its coordination service, which holds Python's lock while it waits, and ignores SIGTERM. Without it a
            # thread of the strategy asks every half minute whether the others are there.
            context.context().configure_coordination_service("")
            made.append(tf.distribute.MultiWorkerMirroredStrategy())
        except Exception as error:
            failed.append(error)

    # It waits without end for workers that do not come, and does not hear Ctrl-C.
    waiting = threading.Thread(target=connect, daemon=True)
    waiting.start()
    waiting.join(START_SECONDS)
    if failed:
        why = _first_line(failed[0])
        raise UsageError(
            f"{cluster.own_name} cannot be started: {why}.", "See that its port is free, and start all again."
        )
    if not made:
        raise _lost(cluster, f"not all came within {START_SECONDS:g} s")
    return WorkerGroup(cluster, made[0])


def _lost(cluster: Cluster, why: str) -> WorkerError:
    """The error where the others' parts do not come: which of them are not there; where all are, why."""
    gone = [name for i, name in enumerate(cluster.names) if i != cluster.index and not _answers(cluster.addresses[i])]
    what = f"{', '.join(gone)} cannot be reached" if gone else why
    return WorkerError(
        f"training on {len(cluster.names)} workers: {what}.", "See what it says, and start all of them again."
    )


def _first_line(error: Exception) -> str:
    """What a library says, for a message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rpartition("}} ")[2][:200].rstrip(".: ")


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
