"""What fits leave behind, and where they start from: states for --resume, --from and trainings that were killed; histories."""

from __future__ import annotations

import shutil
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from forecaster.errors import ArtifactError, UsageError
from forecaster.files import whole_file
from forecaster.serving.manifest import HISTORY
from forecaster.training.fit import keep_nothing
from forecaster.training.task import State

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.training.task import Epoch

TEST_STAGE, FINAL_STAGE = "judge", "final"  # the two stages of a training, as stored files name them
UNFINISHED = ".unfinished"  # beside a model's versions
STATE = "state"  # in an artifact
EVERY_SECONDS = 20.0


@dataclass(frozen=True)
class Checkpoints:
    """States of one training, a file for each stage and member."""

    unfinished: Path  # written while fitting, removed once the model is stored
    source: Path | None  # where to start from; None = from scratch
    weights_only: bool  # True: another model's best weights, with a fresh optimiser

    @property
    def continues_unfinished(self) -> bool:
        """Whether fitting starts from a training that did not end."""
        return self.source == self.unfinished

    def start(self, stage: str, member: int, network: Network) -> State | None:
        """The state to go on from, or None for a fresh fit (of a network that may have been given weights).

        UsageError where the stored network has another shape; ArtifactError where the state is missing or damaged.
        """
        path = self._find(stage, member)
        if path is None:
            return None
        state = read_state(path)
        if [w.shape for w in state.weights] != [w.shape for w in network.weights]:
            raise UsageError(
                "the stored network has another shape than the one asked for.",
                "Give the settings that it was trained with, or train from scratch.",
            )
        if not self.weights_only:
            return state
        network.weights = state.best_weights
        return None

    def _find(self, stage: str, member: int) -> Path | None:
        if self.source is None:
            return None
        own = self.source / f"{stage}-{member}.npz"
        if own.exists():
            return own
        if self.continues_unfinished:
            return None  # killed before this fit began
        # A model that was not fitted again has one stage only, and that one serves.
        return self.source / f"{TEST_STAGE if stage == FINAL_STAGE else FINAL_STAGE}-{member}.npz"

    def save(self, stage: str, member: int) -> Callable[[State], None]:
        """A function that keeps the states that it is given, the first one and then every EVERY_SECONDS."""
        path = self.unfinished / f"{stage}-{member}.npz"
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


class NoCheckpoints:
    """No state is kept, and every fit is fresh."""

    def start(self, _stage: str, _member: int, _network: Network) -> None:
        """There is no state to go on from."""

    def save(self, _stage: str, _member: int) -> Callable[[State], None]:
        """A function that keeps nothing."""
        return keep_nothing


_ARRAYS = ("weights", "best_weights", "optimizer")


def write_state(path: Path, state: State) -> None:
    """A fit's state as plain arrays, whole or not at all."""
    arrays = {f"{kind}-{i}": array for kind in _ARRAYS for i, array in enumerate(getattr(state, kind))}
    facts = np.array(
        [state.epoch, state.finished, state.best_epoch, state.best_loss, state.best_error, state.last_error], np.float64
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez(file, facts=facts, **arrays)


def read_state(path: Path) -> State:
    """ArtifactError where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            epoch, finished, best_epoch, best_loss, best_error, last_error = stored["facts"].tolist()
            arrays = {
                kind: [stored[f"{kind}-{i}"] for i in range(sum(n.startswith(f"{kind}-") for n in stored.files))]
                for kind in _ARRAYS
            }
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile, zlib.error) as error:
        raise ArtifactError(f"{path}: no state to go on from.", "Train from scratch: leave --resume out.") from error
    return State(
        epoch=int(epoch),
        finished=bool(finished),
        best_epoch=int(best_epoch),
        best_loss=best_loss,
        best_error=best_error,
        last_error=last_error,
        **arrays,
    )


def write_history(folder: Path, stages: Mapping[str, Sequence[Epoch]]) -> None:
    """history.csv: loss per epoch of every stage."""
    lines = ["stage,epoch,loss,validation_loss,seconds"]
    for stage, rows in stages.items():
        for row in rows:
            validation = "" if row.validation_loss is None else repr(row.validation_loss)
            lines.append(f"{stage},{row.epoch},{row.loss!r},{validation},{row.seconds:.3f}")
    (folder / HISTORY).write_text("\n".join(lines) + "\n", encoding="utf-8")
