"""Recurrent cells: Keras' own layers, each with its equations, its number of parameters and its ONNX operator.

Notation: x_t input [input], h_t state [units], c_t cell state [units], ⊙ elementwise product, σ logistic function; i, f, o input,
forget and output gate; z, r update and reset gate; h̃ candidate state. A *gate block* is `units · (input + units + 1)`
parameters: one input matrix, one recurrent matrix, one bias.

| cell | equations | gate blocks | state |
|------|-----------|-------------|-------|
| rnn  | h_t = tanh(W x_t + U h_{t-1} + b)  (Elman 1990) | 1 | h |
| lstm | i, f, o = σ(W_* x_t + U_* h_{t-1} + b_*); c_t = f ⊙ c_{t-1} + i ⊙ tanh(W_c x_t + U_c h_{t-1} + b_c); h_t = o ⊙ tanh(c_t)  (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000) | 4 | h, c |
| gru  | z, r = σ(W_* x_t + U_* h_{t-1} + b_*); h̃ = tanh(W x_t + U (r ⊙ h_{t-1}) + b); h_t = z ⊙ h_{t-1} + (1 − z) ⊙ h̃  (Cho et al. 2014, v1) | 3 | h |

Texts that write h_t = (1 − z) ⊙ h_{t-1} + z ⊙ h̃ describe the same cells: negate the update gate's weights and bias.
`reset_after` applies the reset gate after the recurrent product, h̃ = tanh(W x_t + b + r ⊙ (U h_{t-1} + b_u)), as cuDNN does;
each gate then has `units` more biases.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

KerasLayer: TypeAlias = Any  # keras ships no types


@dataclass(frozen=True)
class CellSettings:
    """What one recurrent layer needs to be built."""

    units: int
    reset_after: bool
    input_initializer: str  # a row of INITIALIZERS
    recurrent_initializer: str
    portable: bool  # True: never a cuDNN kernel, for graphs that must also run without a GPU
    recurrent_dropout: float = 0.0  # Gal & Ghahramani 2016: one mask of the state for all steps of a sequence
    forget_bias: float = 1.0  # lstm: first bias of the forget gate


@dataclass(frozen=True)
class OnnxWeights:
    """One direction of an ONNX recurrent operator: `w` [gates·units, input], `r` [gates·units, units], `b` [2·gates·units]."""

    w: FloatArray
    r: FloatArray
    b: FloatArray


@dataclass(frozen=True)
class Cell:
    """A row of CELLS."""

    name: str
    gate_blocks: int
    states: int  # state vectors carried from step to step
    build: Callable[[CellSettings, Callable[[], int]], KerasLayer]
    layer: str  # name of the Keras layer
    operator: str  # ONNX operator of the same equations
    to_onnx: Callable[[list[FloatArray]], OnnxWeights]
    has_reset_gate: bool = False
    has_cudnn_kernel: bool = False  # Keras asks cuDNN for none of Elman's cell

    def runs_on_cudnn(self, *, reset_after: bool = True, recurrent_dropout: float = 0.0) -> bool:
        """Whether Keras runs a layer with cuDNN's kernel on a GPU, if it is not portable; else step by step."""
        return self.has_cudnn_kernel and not recurrent_dropout and (reset_after or not self.has_reset_gate)

    def parameters(self, inputs: int, units: int, reset_after: bool = False) -> int:
        """Trainable parameters of one layer in one direction."""
        second_bias = self.gate_blocks * units if self.has_reset_gate and reset_after else 0
        return self.gate_blocks * units * (inputs + units + 1) + second_bias


def _initializer(name: str, seed: int) -> KerasLayer:
    return INITIALIZERS[name](seed)


def _glorot(seed: int) -> KerasLayer:
    """Glorot & Bengio 2010: keeps the variance of signals through tanh and linear maps."""
    import keras

    return keras.initializers.GlorotUniform(seed=seed)


def _he(seed: int) -> KerasLayer:
    """He et al. 2015: for inputs that pass a ReLU."""
    import keras

    return keras.initializers.HeUniform(seed=seed)


def _orthogonal(seed: int) -> KerasLayer:
    """Saxe et al. 2014: every singular value is 1, so repeated products neither vanish nor explode at the start."""
    import keras

    return keras.initializers.Orthogonal(seed=seed)


INITIALIZERS: dict[str, Callable[[int], KerasLayer]] = {"glorot": _glorot, "he": _he, "orthogonal": _orthogonal}


def _arguments(settings: CellSettings, seed: Callable[[], int]) -> dict[str, object]:
    given: dict[str, object] = {}
    if settings.recurrent_dropout:
        given = {"recurrent_dropout": settings.recurrent_dropout, "seed": seed()}
    return {
        **given,
        "units": settings.units,
        "kernel_initializer": _initializer(settings.input_initializer, seed()),
        "recurrent_initializer": _initializer(settings.recurrent_initializer, seed()),
        "return_sequences": True,
        "return_state": True,
    }


def _cudnn(settings: CellSettings) -> bool | str:
    return False if settings.portable else "auto"


def _build_rnn(settings: CellSettings, seed: Callable[[], int]) -> KerasLayer:
    """h_t = tanh(W x_t + U h_{t-1} + b)."""
    import keras

    return keras.layers.SimpleRNN(**_arguments(settings, seed))


def _build_lstm(settings: CellSettings, seed: Callable[[], int]) -> KerasLayer:
    """i, f, o gates; c_t = f ⊙ c_{t-1} + i ⊙ tanh(W_c x_t + U_c h_{t-1} + b_c); h_t = o ⊙ tanh(c_t)."""
    import keras

    # The forget gate starts open (bias 1; Jozefowicz et al. 2015), so gradients flow from the first epoch on.
    bias: dict[str, object] = {"unit_forget_bias": True}
    if settings.forget_bias != 1.0:
        first = np.repeat([0.0, settings.forget_bias, 0.0, 0.0], settings.units)  # input, forget, candidate, output
        bias = {"unit_forget_bias": False, "bias_initializer": keras.initializers.Constant(first)}
    return keras.layers.LSTM(**_arguments(settings, seed), **bias, use_cudnn=_cudnn(settings))


def _build_gru(settings: CellSettings, seed: Callable[[], int]) -> KerasLayer:
    """z, r gates; h̃ = tanh(W x_t + U (r ⊙ h_{t-1}) + b); h_t = z ⊙ h_{t-1} + (1 − z) ⊙ h̃."""
    import keras

    return keras.layers.GRU(**_arguments(settings, seed), reset_after=settings.reset_after, use_cudnn=_cudnn(settings))


def _gates(matrix: FloatArray, order: tuple[int, ...]) -> FloatArray:
    """Reorder the gate blocks along the last axis and move that axis to the front, as ONNX stores them."""
    blocks = np.split(matrix, len(order), axis=-1)
    ordered: FloatArray = np.concatenate([blocks[i] for i in order], axis=-1).T
    return ordered


def _onnx_weights(weights: list[FloatArray], order: tuple[int, ...]) -> OnnxWeights:
    kernel, recurrent, bias = weights
    if bias.ndim == 1:
        bias = np.stack([bias, np.zeros_like(bias)])  # one bias in Keras: ONNX' recurrent bias is zero
    ordered = [_gates(row, order) for row in bias]
    return OnnxWeights(_gates(kernel, order), _gates(recurrent, order), np.concatenate(ordered))


def _rnn_to_onnx(weights: list[FloatArray]) -> OnnxWeights:
    return _onnx_weights(weights, (0,))


def _lstm_to_onnx(weights: list[FloatArray]) -> OnnxWeights:
    return _onnx_weights(weights, (0, 3, 1, 2))  # Keras i f c o -> ONNX i o f c


def _gru_to_onnx(weights: list[FloatArray]) -> OnnxWeights:
    return _onnx_weights(weights, (0, 1, 2))  # z r h in both


CELLS: dict[str, Cell] = {
    "rnn": Cell("rnn", 1, 1, _build_rnn, "SimpleRNN", "RNN", _rnn_to_onnx),
    "lstm": Cell("lstm", 4, 2, _build_lstm, "LSTM", "LSTM", _lstm_to_onnx, has_cudnn_kernel=True),
    "gru": Cell("gru", 3, 1, _build_gru, "GRU", "GRU", _gru_to_onnx, has_reset_gate=True, has_cudnn_kernel=True),
}
