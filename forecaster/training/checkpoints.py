"""Stored states of fits, for --resume, --from and trainings that were killed, and the history of their losses."""

from __future__ import annotations

import shutil
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.manifest import HISTORY
from forecaster.serving.version_folders import writing
from forecaster.storage.files import whole_file
from forecaster.training.fit import keep_nothing
from forecaster.training.fit_types import State

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.training.fit_types import Epoch
    from forecaster.typing import FloatArray

TEST_STAGE, FINAL_STAGE = "test", "final"  # the two stages of a training, as reports of progress name them
STORED_STAGES = {TEST_STAGE: "judge", FINAL_STAGE: "final"}  # as stored files name them
UNFINISHED = ".unfinished"  # folder beside a model's versions
STATE = "state"  # folder in a version
EVERY_SECONDS = 20.0


@dataclass(frozen=True)
class Checkpoints:
    """Stored states of one training, a file for each stage and member."""

    unfinished: Path  # folder written while fitting, removed once the model is stored
    source: Path | None  # folder of states to start from; None = from scratch
    weights_only: bool  # True: another model's best weights, with a fresh optimiser

    @property
    def continues_unfinished(self) -> bool:
        """Whether fitting starts from a training that did not end."""
        return self.source == self.unfinished

    def start(self, stage: str, member: int, network: Network) -> State | None:
        """The state to continue from; None for a new fit, of `network` as it is or with stored weights.

        UsageError where the stored weights have other shapes; ArtifactError where the state is missing or damaged.
        """
        path = self._find(stage, member)
        if path is None:
            return None
        state = read_state(path)
        if [w.shape for w in state.weights] != [w.shape for w in network.weights]:
            raise UsageError(
                "the stored network has another shape than the settings describe.",
                "Give the settings that it was trained with, or train from scratch.",
            )
        if not self.weights_only:
            return state
        network.weights = state.best_weights
        return None

    def _find(self, stage: str, member: int) -> Path | None:
        if self.source is None:
            return None
        own = self.source / state_file(stage, member)
        if own.exists():
            return own
        if self.continues_unfinished:
            return None  # the training was killed before this fit began
        # A model that was not fitted again has the state of one stage only.
        return self.source / state_file(TEST_STAGE if stage == FINAL_STAGE else FINAL_STAGE, member)

    def save(self, stage: str, member: int) -> Callable[[State], None]:
        """A function that stores a state: the first one, then one every EVERY_SECONDS, and the finished one."""
        path = self.unfinished / state_file(stage, member)
        written = 0.0

        def keep(state: State) -> None:
            nonlocal written
            if state.finished or time.monotonic() - written > EVERY_SECONDS:
                write_state(path, state)
                written = time.monotonic()

        return keep

    def clear(self) -> None:
        """Forget an unfinished training."""
        shutil.rmtree(self.unfinished, ignore_errors=True)


def state_file(stage: str, member: int) -> str:
    """Name of the file with the state of one member's fit."""
    return f"{STORED_STAGES[stage]}-{member}.npz"


class NoCheckpoints:
    """No state is stored, and every fit starts from scratch."""

    def start(self, _stage: str, _member: int, _network: Network) -> None:
        """None: there is no state."""

    def save(self, _stage: str, _member: int) -> Callable[[State], None]:
        """A function that stores nothing."""
        return keep_nothing


_ARRAYS = ("weights", "best_weights", "optimizer")
_SERVED = "served"  # in a state without weights: the member of the version's SavedModel that has them


def write_state(path: Path, state: State) -> None:
    """Write a fit's state as plain arrays, atomically. UsageError where the disk refuses."""
    arrays = {f"{kind}-{i}": array for kind in _ARRAYS for i, array in enumerate(getattr(state, kind))}
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            np.savez(file, facts=_facts(state), **arrays)


def write_stored_state(path: Path, state: State, served: int | None) -> None:
    """Write the state of a fit of a version. Of a finished one only what another training starts from: the best weights.

    `served`: the number of the member whose weights are in the version's SavedModel already; None = they are not. The
    optimizer's state would take twice the space of the weights, and another round begins with a fresh one.
    """
    if not state.finished:
        write_state(path, state)
        return
    arrays: dict[str, Any] = {_SERVED: np.array(served)}
    if served is None:
        arrays = {f"best_weights-{i}": array for i, array in enumerate(state.best_weights)}
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, facts=_facts(state), **arrays)


def _facts(state: State) -> FloatArray:
    return np.array(
        [state.epoch, state.finished, state.best_epoch, state.best_loss, state.best_error, state.last_error], np.float64
    )


def read_state(path: Path) -> State:
    """The stored state. ArtifactError where it is missing or damaged.

    A version's state of a finished fit has the best weights alone: they are the weights, too, and `optimizer` is empty.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            epoch, finished, best_epoch, best_loss, best_error, last_error = stored["facts"].tolist()
            arrays = {
                kind: [stored[f"{kind}-{i}"] for i in range(sum(n.startswith(f"{kind}-") for n in stored.files))]
                for kind in _ARRAYS
            }
            served = int(stored[_SERVED]) if _SERVED in stored.files else None
        if served is not None:
            arrays["best_weights"] = _serving_weights(path.parent.parent, served)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile, zlib.error) as error:
        raise ArtifactError(
            f"{path}: missing or damaged: no state to start from.", "Train from scratch, without --resume."
        ) from error
    arrays["weights"] = arrays["weights"] or arrays["best_weights"]
    return State(
        epoch=int(epoch),
        finished=bool(finished),
        best_epoch=int(best_epoch),
        best_loss=best_loss,
        best_error=best_error,
        last_error=last_error,
        **arrays,
    )


def _serving_weights(version: Path, member: int) -> list[FloatArray]:
    from forecaster.models.export import serving_weights
    from forecaster.serving.runtime import RUNTIMES

    return serving_weights(version / RUNTIMES["tensorflow"][0], member)


def write_history(folder: Path, stages: Mapping[str, Sequence[Epoch]]) -> None:
    """Write history.csv to `folder`: one row for each epoch of each stage."""
    lines = ["stage,epoch,loss,validation_loss,seconds"]
    for stage, rows in stages.items():
        for row in rows:
            validation = "" if row.validation_loss is None else repr(row.validation_loss)
            lines.append(f"{stage},{row.epoch},{row.loss!r},{validation},{row.seconds:.3f}")
    (folder / HISTORY).write_text("\n".join(lines) + "\n", encoding="utf-8")
