"""What all heads are made of: their settings, what they promise, and their layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecaster.models.encoder import EncoderOutput
    from forecaster.typing import Tensor


@dataclass(frozen=True)
class HeadSettings:
    """What a head is built from."""

    context_length: int
    horizon: int
    segment: int
    outputs: int  # K numbers for each step: the point forecast and the quantiles, or a distribution's parameters
    units: int
    dropout: float
    bidirectional: bool  # the encoder reads in both directions
    recent: int = 0  # latest rows that `Direct` reads besides the state, a multiple of segment
    attention: bool = False  # of the encoder-decoder


class Head(Protocol):
    """A row of HEADS, built."""

    def forecast(self, encoder: Any, read: EncoderOutput) -> Tensor:
        """[B, H, K] in the network's units; the first of the K is the point forecast, or the location."""

    def training(self, encoder: Any, read: EncoderOutput) -> Tensor:
        """[B, P, K] forecasts of the P steps of `target_span`, for the loss."""

    def target_span(self) -> tuple[int, int]:
        """First and one-past-last step that `training` forecasts, counted from the start of the context."""


def segments(horizon: int, segment: int) -> int:
    """Segments that a horizon takes."""
    return -(-horizon // segment)


def dense(units: int, seed: Callable[[], int], activation: str | None = None, *, bias: bool = True) -> Any:
    """A dense layer whose weights start as Glorot & Bengio 2010 have them."""
    import keras

    glorot = keras.initializers.GlorotUniform(seed=seed())
    return keras.layers.Dense(units, activation=activation, use_bias=bias, kernel_initializer=glorot)


def dropout_layer(rate: float, seed: Callable[[], int]) -> Any:
    """Dropout; nothing for a rate of 0."""
    import keras

    return keras.layers.Dropout(rate, seed=seed()) if rate else keras.layers.Identity()
