"""The program's recurrent networks as plain Keras models."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from forecaster.api.arguments import check_names, check_shares, check_switches, is_number, whole_numbers
from forecaster.errors import UsageError
from forecaster.models.cells import CELLS, INITIALIZERS
from forecaster.models.encoder import Encoder, EncoderSettings
from forecaster.models.head_layers import HeadSettings
from forecaster.models.heads import HEADS, OPEN_HEADS
from forecaster.models.skip_paths import KnownPath

if TYPE_CHECKING:
    from forecaster.models.encoder import EncoderOutput
    from forecaster.typing import Tensor


def network(
    *,
    context_length: int,
    horizon: int,
    inputs: int = 2,
    known: int = 0,
    cell: str = "gru",
    units: int = 64,
    layers: int = 1,
    bidirectional: bool = False,
    residual: bool = False,
    head: str = "direct",
    segment: int = 1,
    outputs: int = 1,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    reset_after: bool = True,
    forget_bias: float = 1.0,
    attention: bool = False,
    input_initializer: str = "glorot",
    recurrent_initializer: str = "orthogonal",
    seed: int = 0,
    name: str = "forecaster",
) -> Any:
    """A `keras.Model` of recurrent layers and a head, not compiled: inputs [B, T, F] -> forecast [B, H].

    The layers are Keras' own (Dense, SimpleRNN, LSTM, GRU, Dropout), so `summary`, `compile`, `fit`, `save`, `export` and
    `keras.utils.plot_model` work. The inputs are those of `windows()`: column 0 the scaled target, column 1 whether it is
    observed, then covariates. With `known` features the inputs are a pair, [B, T, F] and [B, H, U]. All tensors are float32.

    Args:
        context_length: T, rows that are read; a multiple of `segment`.
        horizon: H, rows that are forecast.
        inputs: F, columns of each row; 1 = the target alone.
        known: U, features of each row ahead; 0 = none.
        cell: "rnn", "lstm" or "gru".
        units: width of each recurrent layer.
        layers: recurrent layers, one on the other.
        bidirectional: read the context in both directions.
        residual: add each layer's input to its output; needs two layers.
        head: "direct", "seq2seq", "recursive", "encoder-decoder", or "per-step", whose output is [B, T]: at each step the
            target `segment` rows later, to be fitted to `WindowSet.step_targets`. Heads that feed their forecasts back,
            all but the first two, read the target alone, F <= 2.
        segment: S, rows that one recurrent step reads, through a dense layer where S > 1.
        outputs: K, numbers for each forecast row; K > 1 gives [B, H, K].
        dropout: share of units left out before the head and between layers, in `fit` only.
        recurrent_dropout: share of the state that each sequence leaves out at all its steps, in `fit` only.
        reset_after: GRU: apply the reset gate after the recurrent product.
        forget_bias: LSTM: first bias of the forget gate.
        attention: encoder-decoder: weigh all steps of the context anew for each step ahead.
        input_initializer: "glorot", "he" or "orthogonal".
        recurrent_initializer: as `input_initializer`.
        seed: of the first weights and of dropout.
        name: of the Keras model.

    Raises:
        UsageError: for an unknown name, or settings that contradict each other.
    """
    call = "network()"
    check_names(call, CELLS, cell=cell)
    check_names(call, HEADS, head=head)
    check_names(call, INITIALIZERS, input_initializer=input_initializer, recurrent_initializer=recurrent_initializer)
    context_length, horizon, inputs, units, layers, segment, outputs = whole_numbers(
        call, 1, context_length=context_length, horizon=horizon, inputs=inputs, units=units, layers=layers,
        segment=segment, outputs=outputs,
    )  # fmt: skip
    known, seed = whole_numbers(call, 0, known=known, seed=seed)
    check_switches(call, bidirectional=bidirectional, residual=residual, reset_after=reset_after, attention=attention)
    check_shares(call, dropout=dropout, recurrent_dropout=recurrent_dropout)
    if not is_number(forget_bias):
        raise UsageError(f"network(): forget_bias: {forget_bias!r} is not a number.")
    if context_length % segment:
        raise UsageError(f"network(): context_length {context_length} is not a multiple of segment {segment}.")
    if head not in OPEN_HEADS and (inputs > 2 or known):
        raise UsageError(
            f"network(): head '{head}' feeds its forecasts back, so it reads the target alone.",
            f"Take one of {', '.join(OPEN_HEADS)}, or inputs=2 and known=0.",
        )
    if residual and layers == 1:
        raise UsageError("network(): residual has no effect on one layer.", "Take layers=2 or more.")
    if attention and head != "encoder-decoder":
        raise UsageError("network(): attention has no effect without head 'encoder-decoder'.", "Leave it out.")
    if recurrent_dropout and head == "recursive":
        raise UsageError("network(): recurrent_dropout: head 'recursive' runs single steps, which have no common mask.")
    if forget_bias != 1.0 and cell != "lstm":
        raise UsageError("network(): forget_bias is that of an LSTM.", "Take cell='lstm'.")
    if not (reset_after or CELLS[cell].has_reset_gate):
        raise UsageError(f"network(): reset_after has no effect on {cell}: it has no reset gate.", "Leave it out.")
    source = random.Random(seed)

    def new_seed() -> int:
        return source.getrandbits(31)

    encoder = Encoder(
        EncoderSettings(
            cell=cell, units=units, layers=layers, bidirectional=bidirectional, residual=residual, dropout=dropout,
            reset_after=reset_after, segment=segment, input_initializer=input_initializer,
            recurrent_initializer=recurrent_initializer, portable=False, extra_inputs=inputs > 2,
            recurrent_dropout=recurrent_dropout, forget_bias=forget_bias,
        ),
        new_seed,
    ).with_recurrence(_whole_layer)  # fmt: skip
    head_settings = HeadSettings(
        context_length=context_length, horizon=horizon, segment=segment, outputs=outputs, units=units,
        dropout=dropout, bidirectional=bidirectional, attention=attention,
    )  # fmt: skip
    built = HEADS[head](head_settings, new_seed)
    return _Model(encoder, built.training if head == "per-step" else built.forecast).build(
        (context_length, inputs), KnownPath(horizon, outputs, new_seed) if known else None, (horizon, known), name
    )


def _whole_layer(layer: Any, inputs: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
    """As `run_layer`, but a single step calls the layer, too: a model that is saved holds layers, not their cells."""
    sequence, *after = layer(inputs, initial_state=list(states) if states is not None else None)
    return sequence, after


class _Model:
    """Draws the graph of an encoder and a head."""

    def __init__(self, encoder: Encoder, head: Callable[[Encoder, EncoderOutput], Tensor]) -> None:
        self.encoder, self.head = encoder, head

    def build(self, shape: tuple[int, int], path: KnownPath | None, ahead: tuple[int, int], name: str) -> Any:
        """Keras model, inputs `shape` [T, F] and, where there is a path, `ahead` [H, U] -> forecast."""
        import keras
        from keras import ops

        context = keras.Input(shape, name="inputs")
        mask = context[:, :, 1] if shape[1] > 1 else ops.ones_like(context[:, :, 0])
        read = self.encoder.read(context[:, :, 0], mask, context[:, :, 2:] if shape[1] > 2 else None)
        z = self.head(self.encoder, read)
        inputs = [context]
        if path:
            inputs.append(keras.Input(ahead, name="known"))
            z = z + path(inputs[1], read.last)
        return keras.Model(inputs if path else context, z if z.shape[-1] > 1 else z[:, :, 0], name=name)
