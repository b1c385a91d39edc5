"""Settings of a network and of its fit: plain values that a plan chooses and a manifest stores."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forecaster.data.covariate_encodings import Encoding
from forecaster.data.extra_inputs import input_shapes
from forecaster.models.distributions import DISTRIBUTIONS
from forecaster.models.seasonal_profile import Profile


@dataclass(frozen=True)
class NetworkSettings:
    """One network, and how it is combined with the other members. Each value changes the graph or its first weights."""

    cell: str  # a row of CELLS
    units: int
    layers: int
    bidirectional: bool
    dropout: float
    residual: bool
    reset_after: bool  # gru only
    context_length: int  # L, a multiple of segment
    horizon: int  # H
    segment: int  # S observations read at each step
    head: str  # a row of HEADS
    transform: str  # a row of TRANSFORMS
    center: str  # a row of CENTERS
    input_initializer: str  # a row of INITIALIZERS
    recurrent_initializer: str
    quantiles: tuple[float, ...]
    season_length: int = 1  # steps that center "season" averages
    linear: bool = False  # a linear path alongside the recurrence
    known: int = 0  # F calendar features of each step ahead
    lags: int = 0  # J values of long seasons ago for each step ahead, each with two neighbours
    covariates: tuple[Encoding, ...] = ()  # columns that it reads: known, then past, then static ones
    combine: str = "median"  # a row of COMBINATIONS
    origin: float = 0.0  # the target's smallest possible value, which a log counts from
    distribution: str = ""  # a row of DISTRIBUTIONS; empty: each quantile is an output of its own
    # The level of the quantile that the point forecast is: 0.5 = the median; None = it is a mean.
    point_level: float | None = None
    level: bool = False  # it reads how far the window's centre is from 0, in the window's own scale
    recent: int = 0  # latest rows that the direct head reads besides the encoder's state, a multiple of segment
    attention: bool = False  # head encoder-decoder only
    recurrent_dropout: float = 0.0
    forget_bias: float = 1.0  # first bias of an LSTM's forget gate
    network: str = ""  # "module:function" in place of encoder and head, see `own_network`; empty = the built-in ones
    pretrained: int = 0  # season length of the pretrained network whose weights it starts from; 0 = random weights
    tuned: bool = False  # pretrained only: it is fitted further
    share: float = (
        0.0  # its weight among the networks; 0 = it is joined with the others without one, which have the rest
    )
    profile: Profile | None = None  # of a season that is taken out of what it reads
    fills_gaps: bool = False  # rows that are missing between others are estimated before it reads them
    special_days: bool = False  # pretrained only: they are taken out of what it reads, and put onto its forecast

    @property
    def known_width(self) -> int:
        """F + 3J: columns of the input `known` that are not covariates."""
        return self.known + 3 * self.lags

    @property
    def rows(self) -> int:
        """Rows before the cutoff from which its forecast is made: L, or more where it has a seasonal profile."""
        return self.profile.rows(self.context_length) if self.profile else self.context_length

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape after the batch of each input of the network, in order, without the rows of a seasonal profile."""
        return input_shapes(
            self.context_length, self.horizon, self.known_width, self.covariates, special_days=self.special_days
        )

    @property
    def core_shapes(self) -> dict[str, tuple[int, ...]]:
        """Those of the inputs of its layers, which read a context without its special days."""
        return replace(self, special_days=False).shapes

    @property
    def label(self) -> str:
        """What the network is, for people."""
        return self.network or (f"bidirectional {self.cell}" if self.bidirectional else self.cell)

    def of_role(self, *roles: str) -> tuple[Encoding, ...]:
        """The covariates of these roles."""
        return tuple(one for one in self.covariates if one.role in roles)

    @property
    def outputs(self) -> int:
        """K: outputs of the head for each step."""
        return len(DISTRIBUTIONS[self.distribution].parameters) if self.distribution else 1 + len(self.quantiles)


@dataclass(frozen=True)
class FitSettings:
    """How a network is fitted."""

    loss: str  # a row of LOSSES, or pinball:LEVEL
    error_scale: str  # one of ERROR_SCALES
    epochs: int
    batch_size: int
    steps_per_epoch: int  # batches in an epoch; 0 = one pass over the windows
    learning_rate: float
    schedule: str  # a row of SCHEDULES
    clip_norm: float  # 0 = none
    patience: int  # epochs without a better validation loss before stopping; 0 = no early stopping
    seed: int
    time_budget: float | None = None  # seconds for this fit
    stop_after: int | None = None  # epochs after which the fit ends, on the schedule of `epochs`; None = all
    optimizer: str = "adam"  # a row of OPTIMIZERS
    momentum: float = 0.0  # sgd and rmsprop
    weight_decay: float = 0.0
    clip_value: float = 0.0  # 0 = none
    truncate: int = 0  # recurrent steps that gradients go back; 0 = all
    kept: float = 0.0  # share of the weights from before the fit in those after it, see `fit`
    teacher_forcing: tuple[float, float] = (
        0.0,
        0.0,
    )  # head encoder-decoder: share of actuals at the first and the last step
    precision: str = "float32"  # what layers compute with while they are fitted; "mixed": 16 bits

    def __post_init__(self) -> None:
        object.__setattr__(self, "teacher_forcing", tuple(self.teacher_forcing))  # JSON has lists

    def batches(self, windows: int) -> int:
        """Batches in an epoch over so many windows."""
        return self.steps_per_epoch or -(-windows // min(self.batch_size, windows))
