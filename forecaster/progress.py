"""What long-running work reports to whoever watches it. Only `console.py` prints; everything else calls a `Watch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """The state of training after an epoch."""

    stage: str  # what is being fitted, e.g. "judge" or "final"
    epoch: int  # epochs done
    epochs: int  # epochs planned
    loss: float  # mean training loss of the epoch
    validation_loss: float | None  # None without validation windows
    seconds_left: float  # estimated from the epochs done


class Watch(Protocol):
    """Receives notes (one line each, for people) and progress."""

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def progress(self, progress: Progress) -> None: ...


class Silent:
    """A `Watch` that says nothing."""

    def note(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        pass
