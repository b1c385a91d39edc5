"""What functions take: arrays, data, JSON, and the `Watch` that long-running work reports to.

Comments give the shapes of arrays: [N] series, [R] rows, [B] windows, [L] context, [H] horizon. Only `cli/console.py` prints; all
other code calls a `Watch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
ShortIntArray: TypeAlias = NDArray[np.int32]  # where there is one for each row of a panel, and none is large
BoolArray: TypeAlias = NDArray[np.bool_]
TextArray: TypeAlias = NDArray[Any]  # str objects
Tensor: TypeAlias = Any  # a Keras or TensorFlow tensor

Data: TypeAlias = "str | Path | pd.DataFrame"  # a file's path, "-" for standard input, or a data frame
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True)
class Progress:
    """The state of training after an epoch."""

    stage: str  # what is being fitted, e.g. "tune" or "final"
    epoch: int  # epochs done
    epochs: int  # epochs planned
    loss: float  # mean training loss of the epoch
    validation_loss: float | None  # None without validation windows
    seconds_left: float  # estimated from the epochs done


class Watch(Protocol):
    """Receives notes and warnings (one line each, for people) and progress."""

    def note(self, text: str) -> None:
        """Show one line of information."""

    def warn(self, text: str) -> None:
        """Show one line of warning."""

    def progress(self, progress: Progress) -> None:
        """Show the state of training after an epoch."""


class Silent:
    """A `Watch` that shows nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Show nothing."""

    def progress(self, progress: Progress) -> None:
        """Show nothing."""
