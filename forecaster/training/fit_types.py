"""The data types of fits: what a fit gets (rows, windows) and what it gives (state, history, fitted members)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from forecaster.training.gather import RowGatherer

if TYPE_CHECKING:
    from forecaster.data.calendar import KnownRows
    from forecaster.data.covariate_encodings import EncodedCovariates
    from forecaster.data.windows import Sampler, Windows
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.network import Network
    from forecaster.models.settings import FitSettings, NetworkSettings
    from forecaster.typing import FloatArray

# Of a fit that goes on from fitted weights, with more rows: shares of the epochs and of the learning rate of the fit before
# (benchmarks/ABLATIONS.md, Fits that go on).
FURTHER_EPOCHS, FURTHER_RATE = 0.3, 0.5


@dataclass(frozen=True)
class State:
    """The state of a fit, from which it can be resumed."""

    epoch: int  # epochs done
    finished: bool
    best_epoch: int
    best_loss: float
    best_error: float  # validation error of the best epoch, see `Fitted`; NaN without validation windows
    last_error: float  # of the last epoch
    weights: list[FloatArray]
    best_weights: list[FloatArray]
    optimizer: list[FloatArray]


@dataclass(frozen=True)
class Epoch:
    """A row of history.csv."""

    epoch: int
    loss: float
    validation_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """The result of a fit. The network has the best weights."""

    history: tuple[Epoch, ...]
    best_epoch: int
    error: float  # validation error of the best epoch, see `_Fit._validate`; NaN without validation windows
    stopped: str  # "epochs" | "patience" | "time budget" | "interrupted" | "diverged"
    state: State

    @classmethod
    def at_once(cls, weights: list[FloatArray], epochs: int) -> Fitted:
        """Of weights that no validation chose: they were there before (no epoch), or were found in one."""
        nan = float("nan")
        state = State(
            epoch=epochs,
            finished=True,
            best_epoch=epochs,
            best_loss=float("inf"),
            best_error=nan,
            last_error=nan,
            weights=weights,
            best_weights=weights,
            optimizer=[],
        )
        return cls(history=(), best_epoch=epochs, error=nan, stopped="epochs", state=state)


@dataclass(frozen=True)
class Source:
    """The rows of a panel, shared by all its tasks."""

    target: FloatArray  # [R]
    known: KnownRows | None = None  # calendar features of each row
    covariates: EncodedCovariates | None = None  # of each row and series

    @cached_property
    def rows(self) -> RowGatherer:
        """The rows as tensors."""
        return RowGatherer(self.target, self.known, self.covariates)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "rows"}  # tensors stay in their process


@dataclass(frozen=True)
class Task:
    """The data of a fit."""

    training: Windows  # its `end` bounds the rows that training reads; it has no windows of its own
    sampler: Sampler
    validation: Windows | None  # windows whose loss chooses the best weights; None: the last weights are kept
    scale: FloatArray  # [N] seasonal scale of each series, for error_scale "series"; positive
    source: Source
    relative: bool = False  # every value is positive: relative errors are defined
    days: FloatArray | None = None  # [R, 2] factor and summand of special days, as the rows before `end` show them


@dataclass(frozen=True)
class MemberFit:
    """One member, and how it is fitted from its first weights on."""

    network: NetworkSettings
    fit: FitSettings
    weights: list[FloatArray] | None = field(default=None, compare=False)  # of such a fit, which another goes on from

    @property
    def schedule(self) -> FitSettings:
        """How it is fitted now: weights that were fitted before go on for a part of the epochs, at a part of the rate."""
        if self.weights is None:
            return self.fit
        return replace(
            self.fit,
            patience=0,
            stop_after=None,
            epochs=math.ceil(FURTHER_EPOCHS * self.fit.epochs),
            learning_rate=self.fit.learning_rate * FURTHER_RATE,
        )


@dataclass(frozen=True)
class Stage:
    """One fit of every member."""

    networks: tuple[Network, ...]
    fits: tuple[Fitted, ...]
    members: tuple[MemberFit, ...] = ()  # how each was fitted
    smoothing: Smoothing | None = None  # blended with their forecasts

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs of each member's fit from its first weights on, up to those that are kept."""
        pairs = zip(self.members, self.fits, strict=True)
        return tuple(one.fit.epochs if one.weights else done.best_epoch for one, done in pairs)

    @property
    def stopped(self) -> str:
        """Why it ended: the strongest reason of any member."""
        reasons = [one.stopped for one in self.fits]
        return next((r for r in ("interrupted", "diverged", "time budget", "patience") if r in reasons), "epochs")


# Fits every network on a task, at once where there are processors.
FitAll: TypeAlias = "Callable[[str, Task, Sequence[MemberFit]], Stage]"
