"""The encoder: a stack of recurrent layers over the scaled context, segment by segment, which can go on with forecasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from forecaster.models.cells import CELLS, CellSettings

if TYPE_CHECKING:
    from forecaster.typing import Tensor

Recurrence: TypeAlias = "Callable[[Any, Tensor, Sequence[Tensor] | None], tuple[Tensor, list[Tensor]]]"
Decode: TypeAlias = "Callable[[Any, EncoderOutput, Tensor, list[Tensor], Tensor | None], Tensor | None]"


@dataclass(frozen=True)
class EncoderSettings:
    """What an encoder is built from."""

    cell: str
    units: int
    layers: int
    bidirectional: bool
    residual: bool
    dropout: float
    reset_after: bool
    segment: int
    input_initializer: str
    recurrent_initializer: str
    portable: bool
    extra_inputs: bool = False  # covariates are read with the values
    recurrent_dropout: float = 0.0
    forget_bias: float = 1.0


@dataclass(frozen=True)
class EncoderOutput:
    """The encoder's outputs over T steps. D = units, or twice that when bidirectional."""

    inputs: Tensor  # [B, T, C] the steps that were read
    sequence: Tensor  # [B, T, D] the top layer's outputs
    last: Tensor  # [B, D] its output after the last step; when bidirectional, each direction's after its own last
    states: list[Tensor]  # the top layer's final states, [B, D] each
    layer_states: list[list[Tensor]]  # every layer's final states, from which `advance` goes on


def run_layer(layer: Any, inputs: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
    """Outputs [B, T, units] and final states [B, units] of a Keras recurrent layer over inputs [B, T, C].

    A single step calls the cell, without Keras' loop.
    """
    import keras

    if states is not None and inputs.shape[1] == 1:
        output, after = layer.cell(inputs[:, 0], list(states))
        return output[:, None], list(after)
    if not (layer.return_sequences and layer.return_state):  # in a network of one's own
        layer = keras.layers.RNN(layer.cell, return_sequences=True, return_state=True)
    sequence, *after = layer(inputs, initial_state=list(states) if states is not None else None)
    return sequence, after


class Encoder:
    """The stack. `recur` runs one layer; fast training and the ONNX export replace it with their own.

    `decode`, where fast training has set it, runs all steps of the head `encoder-decoder`.
    """

    recur: Recurrence = staticmethod(run_layer)
    decode: Decode | None = None

    def __init__(self, settings: EncoderSettings, seed: Callable[[], int]) -> None:
        import keras

        self.settings = settings
        self._seed = seed
        self.embed = (
            keras.layers.Dense(
                settings.units, activation="relu", kernel_initializer=keras.initializers.HeUniform(seed=seed())
            )
            if settings.segment > 1
            else keras.layers.Identity()  # the textbook form: the cell reads each observation directly
        )
        # Starts at zero: at first the network forecasts as it does without covariates.
        embedded = settings.extra_inputs and settings.segment > 1
        self.embed_extra = keras.layers.Dense(settings.units, kernel_initializer="zeros") if embedded else None
        directions = 2 if settings.bidirectional else 1
        self.layers = [[self.new_layer(settings.units) for _ in range(directions)] for _ in range(settings.layers)]
        between = settings.dropout if settings.layers > 1 else 0.0
        self.dropouts = [
            keras.layers.Dropout(between, seed=seed()) if between else keras.layers.Identity()
            for _ in range(settings.layers - 1)
        ]

    def new_layer(self, units: int, *, by_step: bool = False) -> Any:
        """A recurrent layer with this encoder's cell; if run `by_step` without recurrent dropout: its masks are of sequences."""
        s = self.settings
        cell = CellSettings(
            units=units,
            reset_after=s.reset_after,
            input_initializer=s.input_initializer,
            recurrent_initializer=s.recurrent_initializer,
            portable=s.portable,
            recurrent_dropout=0.0 if by_step else s.recurrent_dropout,
            forget_bias=s.forget_bias,
        )
        layer = CELLS[s.cell].build(cell, self._seed)
        layer.cell.name = f"{layer.name}_cell"  # `run_layer` also calls cells, and names in a graph must be unique
        return layer

    def with_recurrence(self, recur: Recurrence, decode: Decode | None = None) -> Encoder:
        """The same layers and weights, run by `recur`, and by `decode`."""
        other = copy(self)
        other.recur, other.decode = recur, decode
        return other

    def read(self, values: Tensor, mask: Tensor, extra: Tensor | None = None) -> EncoderOutput:
        """Encode scaled values and mask [B, L], and the covariates' features [B, L, E]."""
        return self._read(self._steps(values, mask), extra=extra)

    def advance(self, read: EncoderOutput, values: Tensor) -> EncoderOutput:
        """Encode one more segment, of forecasts [B, S]. A bidirectional encoder reads all steps again, from the new end."""
        from keras import ops

        step = self._steps(values, ops.ones_like(values))
        if self.settings.bidirectional:
            return self._read(ops.concatenate([read.inputs, step], axis=1))
        return self._read(step, read.layer_states)

    def _steps(self, values: Tensor, mask: Tensor) -> Tensor:
        """Values and mask [B, T·S] -> steps [B, T, 2S]."""
        from keras import ops

        segment = self.settings.segment
        count = values.shape[1] // segment
        parts = [ops.reshape(part, (-1, count, segment)) for part in (values, mask)]
        return ops.concatenate(parts, axis=2)

    def _read(
        self, inputs: Tensor, start: list[list[Tensor]] | None = None, extra: Tensor | None = None
    ) -> EncoderOutput:
        hidden = self.embed(inputs)
        if extra is not None:
            hidden = self._with_extra(hidden, extra)
        layer_states: list[list[Tensor]] = []
        for depth, layers in enumerate(self.layers):
            if depth:
                hidden = self.dropouts[depth - 1](hidden)
            sequence, states = self._layer(layers, hidden, start[depth] if start else None)
            layer_states.append(states)
            linked = self.settings.residual and sequence.shape[-1] == hidden.shape[-1]
            hidden = hidden + sequence if linked else sequence
        return EncoderOutput(inputs, hidden, self._last(hidden), layer_states[-1], layer_states)

    def _with_extra(self, hidden: Tensor, extra: Tensor) -> Tensor:
        """Steps [B, T, ·] with the covariates' features [B, T·S, E] of their observations."""
        from keras import ops

        count, width = hidden.shape[1], extra.shape[2] * self.settings.segment
        extra = ops.reshape(extra, (-1, count, width))
        return hidden + self.embed_extra(extra) if self.embed_extra else ops.concatenate([hidden, extra], axis=2)

    def _layer(self, layers: list[Any], x: Tensor, start: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        from keras import ops

        sequence, states = self.recur(layers[0], x, start)
        if len(layers) == 1:
            return sequence, states
        backward, backward_states = self.recur(layers[1], ops.flip(x, axis=1), None)
        both = ops.concatenate([sequence, ops.flip(backward, axis=1)], axis=2)
        return both, [ops.concatenate(pair, axis=1) for pair in zip(states, backward_states, strict=True)]

    def _last(self, sequence: Tensor) -> Tensor:
        from keras import ops

        if not self.settings.bidirectional:
            return sequence[:, -1]
        units = self.settings.units
        return ops.concatenate([sequence[:, -1, :units], sequence[:, 0, units:]], axis=1)
