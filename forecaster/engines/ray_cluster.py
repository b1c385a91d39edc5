"""Work by Ray: in processes of this machine, or on the machines of a cluster.

Rows, models and results go through Ray's object store, so that machines share no file system: only this process reads the data
and writes the output. Ray starts a task anew whose process or machine dies. Tasks and not Ray Data: groups are there already,
as files of whole series, their results are small, and one that fails must be known by its name.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.engines.local import usable_processors
from forecaster.engines.work import Lost, Work
from forecaster.errors import ForecasterError, UsageError, install_hint
from forecaster.version import __version__

if TYPE_CHECKING:
    from forecaster.engines.work import Item

RETRIES = 3  # of a task whose worker dies
TASK = "forecaster"  # what a worker that works is called among the processes
CONNECT_SECONDS = 10.0  # to wait for a cluster's answer
_MAX_REASON = 200  # characters of a library's own words


@dataclass(frozen=True)
class Refusal:
    """A ForecasterError of a worker. Its subclasses may have what cannot be sent."""

    kind: type[ForecasterError]
    message: str
    hint: str


def require_ray(address: str | None) -> Any:
    """The library, for a cluster at an address or one of our own. UsageError where it is not installed."""
    if address is None and "ray" not in sys.modules:
        # Ray listens on every interface of this machine. It reads this when it is imported: only who has the token may connect.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray needs ray, which is not installed.", install_hint("ray")) from None
    return ray


@contextmanager
def ray_engine(address: str | None, workers: int | None, threads: int) -> Iterator[RayEngine]:
    """Workers, of so many threads, of the cluster at an address; None = of one that is started here and ended.

    `workers`: None = as many as there are processors for.

    UsageError where there is no such cluster, or its workers have another version of this program.
    """
    ray = require_ray(address)
    with _connected(ray, address, workers, threads):
        workers = workers or max(int(ray.cluster_resources().get("CPU", 1)) // threads, 1)
        options = {"num_cpus": threads, "max_retries": RETRIES, "name": TASK}
        _refuse_other_version(ray, options)
        yield RayEngine(ray, ray.remote(**options)(_do), workers, threads)


@contextmanager
def _connected(ray: Any, address: str | None, workers: int | None, threads: int) -> Iterator[None]:
    """A connection to a cluster, which may be one of this process."""
    if ray.is_initialized():  # by the program that calls this one
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # else without end
    os.environ.setdefault("RAY_worker_niceness", "0")  # else workers of a cluster of our own yield to all other work
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns that it will change its mind
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    with redirect_stdout(io.StringIO()):  # Ray prints there that a worker died, and standard output is for the result
        place = _connect(ray, address, workers, threads, quiet)
        try:
            yield
        finally:
            ray.shutdown()
            if place:
                shutil.rmtree(place, ignore_errors=True)


def _connect(ray: Any, address: str | None, workers: int | None, threads: int, quiet: dict[str, Any]) -> str | None:
    """Connect to the cluster, or start one with its files in the folder that is returned. UsageError."""
    place = None
    on_end = signal.getsignal(signal.SIGTERM)
    try:
        if address is not None:
            _refuse_silence(address)
            ray.init(address=address, **quiet)
        else:
            # Ray's own place keeps the logs of every run, and names of sockets must be short.
            place = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if Path("/tmp").is_dir() else None)
            count = threads * (workers or max(usable_processors() // threads, 1))
            ray.init(address="local", num_cpus=count, include_dashboard=False, _temp_dir=place, **quiet)
    except Exception as error:  # Ray has no class of its own for a start that takes too long
        if place:
            with suppress(Exception):
                ray.shutdown()
            shutil.rmtree(place, ignore_errors=True)
            hint = "Try again when the machine is less busy, or leave out --engine ray."
            raise UsageError(f"--engine ray: a cluster cannot be started here: {_first_line(error)}.", hint) from None
        hint = "Start it with `ray start --head`, or leave out --ray-address for a local one."
        what = f"the cluster at '{address}' cannot be reached: {_first_line(error)}"
        raise UsageError(f"--engine ray: {what}.", hint) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_end)  # Ray puts its own in its place
    return place


def _refuse_silence(address: str) -> None:
    """OSError where nobody answers at HOST:PORT; Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _refuse_other_version(ray: Any, options: dict[str, Any]) -> None:
    """UsageError unless a worker has this version of this program."""
    try:
        found = ray.get(ray.remote(**options)(_version).remote())
    except ray.exceptions.RayError as error:
        raise UsageError(
            f"--engine ray: the workers cannot run this program: {_first_line(error)}.", "Install it on every machine."
        ) from None
    if found != __version__:
        raise UsageError(
            f"--engine ray: the workers have version {found}, and this is {__version__}.",
            "Install the same on every machine.",
        )


def _version() -> str:
    """That of a worker."""
    return __version__


@dataclass
class RayEngine:
    """The workers of a cluster."""

    ray: Any
    task: Any  # `_do`, to be run elsewhere
    workers: int
    threads: int  # of each
    _common: tuple[Work, object, list[Any]] | None = field(default=None, init=False)  # that was sent last

    @property
    def elsewhere(self) -> bool:
        """Whether work is done in other processes: yes."""
        return True

    def run(
        self, work: Work, shared: object, items: Sequence[Item], read: Callable[[Item], Any], *, ahead: int = 1
    ) -> Iterator[tuple[Item, Any]]:
        """As `Engine.run`, in the order in which the items end."""
        ray, waiting = self.ray, list(reversed(items))
        running: dict[Any, Item] = {}
        common = self._sent(work, shared)
        try:
            while waiting or running:
                while waiting and len(running) < self.workers * (1 + ahead):
                    item = waiting.pop()
                    running[self.task.remote(common, ray.put(read(item)))] = item
                (done, *_), _ = ray.wait([*running], num_returns=1)
                item = running.pop(done)
                yield item, self._result(done)
        finally:  # of an error or an interruption; else none is left
            for left in running:
                ray.cancel(left, force=True)

    def _sent(self, work: Work, shared: object) -> list[Any]:
        """A reference to both in the object store, in a list, since Ray does not follow it there."""
        last = self._common  # read once: threads may run work at once
        if last is not None and last[0] is work and last[1] is shared:
            return last[2]
        self._common = last = None  # frees the last one first
        sent = [self.ray.put((work, shared))]
        self._common = (work, shared, sent)
        return sent

    def _result(self, done: Any) -> Any:
        """What a task has returned; `Lost` where it could not."""
        try:
            found = self.ray.get(done)
        except self.ray.exceptions.RayTaskError as error:
            return Lost(_first_line(error.cause if error.cause is not None else error))
        except self.ray.exceptions.OutOfMemoryError:
            return Lost(f"its worker ran out of memory {1 + RETRIES} times")
        except self.ray.exceptions.RayError as error:
            return Lost(f"its worker died {1 + RETRIES} times ({type(error).__name__})")
        if isinstance(found, Refusal):
            raise found.kind(found.message, found.hint)
        return found


_SHARED: dict[str, tuple[Work, Any]] = {}  # in a worker: what its tasks share, unpacked once


def _do(common: list[Any], item: Any) -> Any:
    """The work on an item, in a worker."""
    import ray

    key = common[0].hex()
    if key not in _SHARED:
        _SHARED.clear()
        _SHARED[key] = ray.get(common[0])
    work, shared = _SHARED[key]
    try:
        return work(shared, item)
    except ForecasterError as error:
        kind = next(one for one in type(error).__mro__ if one.__module__ == ForecasterError.__module__)
        return Refusal(kind, error.message, error.hint)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = (lines[-1] if type(error).__module__.startswith("ray") else lines[0]) if lines else ""
    name = type(error).__name__
    return f"{name}: {said}"[:_MAX_REASON].rstrip(".: ")
