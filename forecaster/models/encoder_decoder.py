"""The head `encoder-decoder`: Cho et al. 2014, with the additive attention of Bahdanau et al. 2015 where it is asked for.

With the encoder's outputs h_1 … h_T, its last output h and point forecasts y:

    c = tanh(V h)                                    the context vector
    s_0 = tanh(V' c)                                 the decoder's first state; an LSTM's cell state has a matrix of its own
    s_t = cell([y_{t-1}; c_t], s_{t-1})              the same kind of cell as the encoder
    ŷ_t = W [s_t; y_{t-1}; c_t] + b                  K numbers for each of the segment's rows

Without attention c_t = c at every step. With attention c_t = Σ_j α_j h_j, α = softmax_j(v · tanh(A s_{t-1} + B h_j)).

y_t are the point forecasts of a segment (S = 1: of a row), y_0 the latest segment of the context. In training with
teacher forcing y_{t-1} is the segment that was observed, with a probability that the fit's schedule gives; in use it is always
the forecast. Differences from the papers: c enters the cell as an input, so a GRU's reset gate does not act on it; the output is
linear, as numbers are forecast and not words; the loss is that of the fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from forecaster.models.head_layers import HeadSettings, dense, dropout_layer, segments

if TYPE_CHECKING:
    from forecaster.models.encoder import Encoder, EncoderOutput
    from forecaster.typing import Tensor


class EncoderDecoder:
    """One segment at a time by a decoder that reads the context vector and the segment before."""

    def __init__(self, settings: HeadSettings, seed: Callable[[], int]) -> None:
        units = settings.units
        self.settings, self._seed = settings, seed
        self.summary = dense(units, seed, "tanh")  # V
        self.bridges: list[Any] = []  # V'
        self.decoder: Any = None
        self.dropout = dropout_layer(settings.dropout, seed)
        self.dense = dense(settings.segment * settings.outputs, seed)  # W
        self.asked = dense(units, seed) if settings.attention else None  # A
        self.key = dense(units, seed, bias=False) if settings.attention else None  # B
        self.score = dense(1, seed, bias=False) if settings.attention else None  # v

    @property
    def count(self) -> int:
        """Segments of the horizon."""
        return segments(self.settings.horizon, self.settings.segment)

    def target_span(self) -> tuple[int, int]:
        """The horizon."""
        return self.settings.context_length, self.settings.context_length + self.settings.horizon

    def forecast(self, encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, H, K], each forecast fed back."""
        return self._decode(encoder, read, None)

    def training(self, encoder: Encoder, read: EncoderOutput) -> Tensor:
        """[B, H, K], as `forecast`: without actuals nothing is forced."""
        return self._decode(encoder, read, None)

    def forced(self, encoder: Encoder, read: EncoderOutput, teacher: Tensor) -> Tensor:
        """[B, H, K] where the teacher [B, H], in the network's units, is fed back in place of forecasts; NaN = not there."""
        from keras import ops

        missing = self.count * self.settings.segment - self.settings.horizon
        return self._decode(encoder, read, ops.pad(teacher, ((0, 0), (0, missing)), constant_values=float("nan")))

    def _decode(self, encoder: Encoder, read: EncoderOutput, teacher: Tensor | None) -> Tensor:
        from keras import ops

        size = self.settings.segment
        context = self.summary(read.last)
        states = self._start(encoder, read, context)
        fast = encoder.decode(self, read, context, states, teacher) if encoder.decode else None
        if fast is not None:
            return fast[:, : self.settings.horizon]
        keys = self.key(read.sequence) if self.key else None
        before = read.inputs[:, -1, :size]
        emitted: list[Tensor] = []
        for step in range(self.count):
            if keys is not None:
                context = self._attended(read.sequence, keys, states[0])
            given = ops.concatenate([before, context], axis=1)
            sequence, states = encoder.recur(self.decoder, given[:, None], states)
            flat = self.dense(self.dropout(ops.concatenate([sequence[:, 0], given], axis=1)))
            emitted.append(ops.reshape(flat, (-1, size, self.settings.outputs)))
            before = emitted[-1][:, :, 0]
            if teacher is not None:
                actual = teacher[:, step * size : (step + 1) * size]
                missing = ops.isnan(actual)
                before = ops.where(missing, before, ops.where(missing, ops.zeros_like(actual), actual))
        return ops.concatenate(emitted, axis=1)[:, : self.settings.horizon]

    def _start(self, encoder: Encoder, read: EncoderOutput, context: Tensor) -> list[Tensor]:
        """s_0 from the context vector [B, U]."""
        if self.decoder is None:
            self.decoder = encoder.new_layer(self.settings.units, by_step=True)
            self.bridges = [dense(self.settings.units, self._seed, "tanh") for _ in read.states]
        return [bridge(context) for bridge in self.bridges]

    def _attended(self, sequence: Tensor, keys: Tensor, state: Tensor) -> Tensor:
        """[B, D] the mean of the encoder's outputs [B, T, D], weighted by what the decoder's state [B, U] asks for."""
        from keras import ops

        assert self.asked and self.score
        scores = self.score(ops.tanh(self.asked(state)[:, None] + keys))[:, :, 0]  # [B, T]
        # A product of matrices keeps no weighted copy [B, T, D] of the outputs for each step ahead, nor for its gradient.
        return ops.matmul(ops.softmax(scores, axis=1)[:, None], sequence)[:, 0]
