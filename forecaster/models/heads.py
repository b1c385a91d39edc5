"""Heads: from the encoder's output to forecasts of the horizon.

A head makes its layers once. Given an `Encoder` and its output, `forecast` returns [B, H, K] in the network's units; `training`
returns the forecasts that the loss is taken of; `target_span` says which steps of the window these are, counted from the start
of the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models.encoder_decoder import EncoderDecoder
from forecaster.models.head_layers import Head, HeadSettings, dense, dropout_layer, segments

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecaster.models.encoder import Encoder, EncoderOutput
    from forecaster.typing import Tensor


class _Horizon:
    """Base of the heads whose loss is over the horizon."""

    def __init__(self, settings: HeadSettings) -> None:
        self.settings = settings

    def target_span(self) -> tuple[int, int]:
        """The horizon."""
        return self.settings.context_length, self.settings.context_length + self.settings.horizon

    def forecast(self, encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, H, K] in the network's units."""
        raise NotImplementedError

    def training(self, encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, H, K], as `forecast`."""
        return self.forecast(encoder, read)

    def cut(self, flat: Tensor) -> Tensor:
        """[B, ...] with H·K numbers or more a row -> [B, H, K]."""
        from keras import ops

        shaped = ops.reshape(flat, (-1, flat.shape[-1] * (flat.shape[1] if len(flat.shape) == 3 else 1)))
        shaped = ops.reshape(shaped, (-1, shaped.shape[-1] // self.settings.outputs, self.settings.outputs))
        return shaped[:, : self.settings.horizon]


class Direct(_Horizon):
    """The whole horizon at once from the last state, through one hidden layer (ES-RNN; Hewamalage et al. 2021)."""

    def __init__(self, settings: HeadSettings, seed: Callable[[], int]) -> None:
        super().__init__(settings)
        self.dropout = dropout_layer(settings.dropout, seed)
        self.hidden = dense(settings.units, seed, "relu")
        self.dense = dense(settings.horizon * settings.outputs, seed)

    def forecast(self, _encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, H, K] from the encoder's last output, and the latest rows where it reads them: dense(relu(dense(h_T)))."""
        return self.cut(self.dense(self.hidden(self._with_recent(self.dropout(read.last), read.inputs))))

    def _with_recent(self, state: Tensor, steps: Tensor) -> Tensor:
        """[B, D] and the encoder's steps [B, T, C] -> [B, D + C · recent / S]."""
        from keras import ops

        count = self.settings.recent // self.settings.segment
        if not count:
            return state
        return ops.concatenate([state, ops.reshape(steps[:, -count:], (-1, count * steps.shape[2]))], axis=1)


class Seq2Seq(_Horizon):
    """Encoder–decoder (Sutskever et al. 2014): a second recurrent layer starts from the encoder's last state.

    It reads an embedding of each output segment's position (SegRNN, Lin et al. 2023), so no forecast is fed back.
    """

    def __init__(self, settings: HeadSettings, seed: Callable[[], int]) -> None:
        super().__init__(settings)
        self.positions = dense(settings.units, seed)  # the embedding: of one-hot positions
        self.bridges: list[Any] = []
        self.decoder: Any = None
        self.dropout = dropout_layer(settings.dropout, seed)
        self.dense = dense(settings.segment * settings.outputs, seed)
        self._seed = seed

    def forecast(self, encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, H, K] from the decoder's output at each segment's position."""
        from keras import ops

        if self.decoder is None:
            self.decoder = encoder.new_layer(self.settings.units)
            # A bidirectional encoder has a state for each direction; a dense layer makes one of both.
            if read.states[0].shape[-1] != self.settings.units:
                self.bridges = [dense(self.settings.units, self._seed, "tanh") for _ in read.states]
        count = segments(self.settings.horizon, self.settings.segment)
        inputs = self.positions(ops.zeros_like(read.last[:, None, :1]) + np.eye(count, dtype=np.float32))
        states = read.states
        if self.bridges:
            states = [bridge(state) for bridge, state in zip(self.bridges, states, strict=True)]
        sequence, _ = encoder.recur(self.decoder, inputs, states)
        return self.cut(self.dense(self.dropout(sequence)))


class Recursive(_Horizon):
    """One segment at a time, each forecast fed back as the next input, in training and in use."""

    def __init__(self, settings: HeadSettings, seed: Callable[[], int]) -> None:
        super().__init__(settings)
        self.dropout = dropout_layer(settings.dropout, seed)
        self.dense = dense(settings.segment * settings.outputs, seed)

    def emit(self, states: Tensor) -> Tensor:
        """Outputs of the encoder [..., D] -> forecasts of the next segment [..., S, K]."""
        from keras import ops

        flat = self.dense(self.dropout(states))
        shape = (*flat.shape[1:-1], self.settings.segment, self.settings.outputs)
        return ops.reshape(flat, (-1, *shape))

    def forecast(self, encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, H, K], segment after segment."""
        from keras import ops

        emitted = [self.emit(read.last)]
        for _ in range(segments(self.settings.horizon, self.settings.segment) - 1):
            read = encoder.advance(read, emitted[-1][:, :, 0])
            emitted.append(self.emit(read.last))
        return ops.concatenate(emitted, axis=1)[:, : self.settings.horizon]


class PerStep(Recursive):
    """A dense layer at every step of the sequence (Keras' TimeDistributed Dense) that forecasts the next segment.

    It is trained at every step with the actuals as inputs (teacher forcing); in use the forecasts are fed back. A backward
    pass has already read what an earlier step must forecast, so a bidirectional encoder trains on the last step only.
    """

    def target_span(self) -> tuple[int, int]:
        """Every segment after the first; of a bidirectional encoder the segment after the context."""
        length, segment = self.settings.context_length, self.settings.segment
        return (length if self.settings.bidirectional else segment), length + segment

    def training(self, _encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, P, K] each step's forecast of the segment after it."""
        from keras import ops

        if self.settings.bidirectional:
            return self.emit(read.last)
        steps = self.emit(read.sequence)
        _, count, segment, outputs = steps.shape
        return ops.reshape(steps, (-1, count * segment, outputs))


HEADS: dict[str, Callable[[HeadSettings, Callable[[], int]], Head]] = {
    "direct": Direct,
    "recursive": Recursive,
    "seq2seq": Seq2Seq,
    "per-step": PerStep,
    "encoder-decoder": EncoderDecoder,
}

# Heads that feed no forecast back, so that other paths' forecasts can be added to theirs.
OPEN_HEADS = ("direct", "seq2seq")
