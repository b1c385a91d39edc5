"""Settings -> network: locate, read, forecast, restore, in one graph from raw context to caller's units.

context [B, L] ── locate ── segments [B, T, 2S] ── recurrent stack ── head [B, H, K] ── restore ── sort quantiles
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from forecaster.models.encoder import Encoder, EncoderSettings, Recurrence, run_layer
from forecaster.models.heads import HEADS, HeadSettings, PerStep
from forecaster.models.transforms import Locator

if TYPE_CHECKING:
    from forecaster.models.encoder import Encoded
    from forecaster.typing import FloatArray

Tensor: TypeAlias = Any  # a Keras tensor of any backend


@dataclass(frozen=True)
class NetworkSettings:
    """Everything that shapes one network. Each value changes the graph or its first weights."""

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

    @property
    def outputs(self) -> int:
        """K: the point forecast and the quantiles."""
        return 1 + len(self.quantiles)


class Network:
    """Layers with their weights. Graphs are drawn from them as often as needed: to train, to serve, to export."""

    def __init__(self, settings: NetworkSettings, seed: int, *, portable: bool = False) -> None:
        self.settings = settings
        seeds = _seeds(seed)
        self.locator = Locator(settings.transform, settings.center)
        self.encoder = Encoder(_encoder_settings(settings, portable), seeds)
        self.head = HEADS[settings.head](_head_settings(settings), seeds)
        if isinstance(self.head, PerStep):
            self.head.last_only = settings.bidirectional
        self.model = self._draw_model()

    def _draw_model(self) -> Any:
        """The serving model, context [B, L] -> forecast [B, H, K]. Drawing it makes all weights, in a fixed order."""
        import keras

        context = keras.Input((self.settings.context_length,), dtype="float64", name="context")
        return keras.Model(context, self.forecast(context))

    def forecast(self, context: Tensor, recur: Recurrence = run_layer) -> Tensor:
        """Raw context [B, L], NaN = missing -> [B, H, K] in the caller's units, float64; quantiles ascend."""
        from keras import ops

        values, mask, center, scale = self.locator.locate(context)
        encoder = self.encoder.with_recurrence(recur)
        z = self.head.forecast(encoder, encoder.read(values, mask))
        if self.settings.quantiles:
            z = ops.concatenate([z[:, :, :1], ops.sort(z[:, :, 1:], axis=-1)], axis=-1)
        return self.locator.restore(z, center, scale)

    def training_model(self) -> Any:
        """Keras model, context -> (z [B, P, K] for the steps of `target_span`, center [B, 1], scale [B, 1])."""
        return self._draw_located(self.head.training)

    def horizon_model(self) -> Any:
        """Keras model, context -> (z [B, H, K] forecast as in use, center [B, 1], scale [B, 1])."""
        return self._draw_located(self.head.forecast)

    def _draw_located(self, answer: Callable[[Encoder, Encoded], Tensor]) -> Any:
        import keras

        context = keras.Input((self.settings.context_length,), dtype="float64", name="context")
        values, mask, center, scale = self.locator.locate(context)
        return keras.Model(context, (answer(self.encoder, self.encoder.read(values, mask)), center, scale))

    @property
    def reach(self) -> int:
        """Steps after the cutoff that training needs: the horizon, or a whole segment if that is longer."""
        return max(self.settings.horizon, self.head.target_span()[1] - self.settings.context_length)

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(w.size for w in self.weights)

    @property
    def weights(self) -> list[FloatArray]:
        """Every trained array, in the order in which the layers were made."""
        values: list[FloatArray] = self.model.get_weights()
        return values

    @weights.setter
    def weights(self, values: list[FloatArray]) -> None:
        self.model.set_weights(values)

    def portable(self) -> Network:
        """The same network and weights, built so that its graph holds no GPU-only operation."""
        clone = Network(self.settings, 0, portable=True)
        clone.weights = self.weights
        return clone


def _seeds(seed: int) -> Callable[[], int]:
    """A stream of seeds, so that each layer has its own and nothing depends on global state."""
    source = random.Random(seed)
    return lambda: source.getrandbits(31)


def _encoder_settings(s: NetworkSettings, portable: bool) -> EncoderSettings:
    return EncoderSettings(
        cell=s.cell,
        units=s.units,
        layers=s.layers,
        bidirectional=s.bidirectional,
        residual=s.residual,
        dropout=s.dropout,
        reset_after=s.reset_after,
        segment=s.segment,
        input_initializer=s.input_initializer,
        recurrent_initializer=s.recurrent_initializer,
        portable=portable,
    )


def _head_settings(s: NetworkSettings) -> HeadSettings:
    return HeadSettings(
        context_length=s.context_length,
        horizon=s.horizon,
        segment=s.segment,
        outputs=s.outputs,
        units=s.units,
        dropout=s.dropout,
    )
