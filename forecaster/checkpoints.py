"""Where fits start from and leave their state: --resume, --from, and trainings that were killed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.errors import UsageError
from forecaster.models.artifact import read_state, write_state

if TYPE_CHECKING:
    from forecaster.models.fit import State
    from forecaster.models.network import Network

JUDGE, FINAL = "judge", "final"  # the two stages of a training
UNFINISHED = ".unfinished"  # beside a model's versions
STATE = "state"  # in an artifact
EVERY_SECONDS = 20.0


@dataclass(frozen=True)
class Checkpoints:
    """States of one training, a file for each stage and member."""

    unfinished: Path  # written while fitting, removed once the model is stored
    source: Path | None  # where to start from; None = from scratch
    weights_only: bool  # True: another model's best weights, with a fresh optimiser

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
        if self.source == self.unfinished:
            return None  # killed before this fit began
        # A model that was not fitted again has one stage only, and that one serves.
        return self.source / f"{JUDGE if stage == FINAL else FINAL}-{member}.npz"

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
