"""Recurrent layers with hand-derived backpropagation through time (BPTT), for training on a CPU.

They compute what Keras' layers compute, in about two thirds of the time. Keras' layers run each step as a whole, and TensorFlow
derives the gradient with one small product of weights for each step. Here one product multiplies the inputs of all steps; a step
computes only what depends on the step before; its gradient is written out; and one product over all steps gives the gradient of
the weights (as in cuDNN, Appleyard et al. 2016).

Equations and names are those of `models/cells.py`. x = W x_t + b and u = U h_{t-1} + b_u are a step's inputs and recurrent
products, a is the argument of a σ or tanh, and da is the derivative of the loss with respect to a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from forecaster.models.encoder import run_layer

if TYPE_CHECKING:
    from forecaster.typing import Tensor

Tensors: TypeAlias = "tuple[Tensor, ...]"


@dataclass(frozen=True)
class Step:
    """A row of STEPS: one step of a cell, and its derivative. G gate blocks, states [B, U] each.

    `forward(inputs [B, G·U], products [B, G·U], states)` returns the next states, the output first, and the tensors that
    `backward` needs. `backward(d_states, kept, states before)` returns d_inputs and d_products [B, G·U], and the part of the
    derivative of each state before that is not by the products; None where it is zero.
    """

    keeps: int  # number of tensors that `forward` keeps for `backward`
    forward: Callable[[Tensor, Tensor, Tensors], tuple[Tensors, Tensors]]
    backward: Callable[[Tensors, Tensors, Tensors], tuple[Tensor, Tensor, tuple[Tensor | None, ...]]]


def _sigmoid(a: Tensor) -> Tensor:
    import tensorflow as tf

    return 0.5 * tf.tanh(0.5 * a) + 0.5  # faster than TensorFlow's sigmoid


def _rnn(x: Tensor, u: Tensor, _states: Tensors) -> tuple[Tensors, Tensors]:
    """h_t = tanh(x + u)."""
    import tensorflow as tf

    h = tf.tanh(x + u)
    return (h,), (h,)


def _rnn_back(d: Tensors, kept: Tensors, _before: Tensors) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
    """da = dh_t ⊙ (1 − h_t²)."""
    (h,) = kept
    da = d[0] * (1.0 - h * h)
    return da, da, (None,)


def _gru(x: Tensor, u: Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
    """z, r = σ(x + u); h̃ = tanh(x + r ⊙ u); h_t = h̃ + z ⊙ (h_{t-1} − h̃): a GRU with `reset_after`."""
    import tensorflow as tf

    (h,) = states
    units = h.shape[1]
    gates = _sigmoid(x[:, : 2 * units] + u[:, : 2 * units])
    z, r = gates[:, :units], gates[:, units:]
    candidate = tf.tanh(x[:, 2 * units :] + r * u[:, 2 * units :])
    return (candidate + z * (h - candidate),), (z, r, candidate, u[:, 2 * units :])


def _gru_back(d: Tensors, kept: Tensors, before: Tensors) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
    """With dh = dh_t, each with respect to the argument of its σ or tanh.

    dz = dh ⊙ z ⊙ (h_{t-1} − h̃) ⊙ (1 − z), dh̃ = dh ⊙ (1 − z) ⊙ (1 − h̃²), dr = dh̃ ⊙ u ⊙ r ⊙ (1 − r); dh ⊙ z goes to h_{t-1}.
    """
    import tensorflow as tf

    (dh,), (z, r, candidate, u), (h,) = d, kept, before
    through = dh * z
    dz = through * (h - candidate) * (1.0 - z)
    dn = (dh - through) * (1.0 - candidate * candidate)
    dr = dn * u * r * (1.0 - r)
    gates = tf.concat([dz, dr], axis=1)
    return tf.concat([gates, dn], axis=1), tf.concat([gates, dn * r], axis=1), (through,)


def _lstm(x: Tensor, u: Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
    """i, f, o = σ(x + u); c_t = f ⊙ c_{t-1} + i ⊙ tanh(x + u); h_t = o ⊙ tanh(c_t)."""
    import tensorflow as tf

    a, c, units = x + u, states[1], states[1].shape[1]
    i, f, o = (_sigmoid(a[:, place * units : (place + 1) * units]) for place in (0, 1, 3))
    g = tf.tanh(a[:, 2 * units : 3 * units])
    c = f * c + i * g
    bounded = tf.tanh(c)
    return (o * bounded, c), (i, f, g, o, bounded)


def _lstm_back(d: Tensors, kept: Tensors, before: Tensors) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
    """dc = dc_t + dh ⊙ o ⊙ (1 − tanh² c_t), of which each gate has its part; dc ⊙ f goes to c_{t-1}."""
    import tensorflow as tf

    (dh, dc), (i, f, g, o, bounded), (_, c) = d, kept, before
    dc = dc + dh * o * (1.0 - bounded * bounded)
    parts = [dc * g * i * (1.0 - i), dc * c * f * (1.0 - f), dc * i * (1.0 - g * g), dh * bounded * o * (1.0 - o)]
    da = tf.concat(parts, axis=1)
    return da, da, (None, dc * f)


STEPS: dict[str, Step] = {  # by Keras' name of the layer
    "SimpleRNN": Step(1, _rnn, _rnn_back),
    "GRU": Step(4, _gru, _gru_back),
    "LSTM": Step(5, _lstm, _lstm_back),
}


def fast_layer(layer: Any, inputs: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
    """A `Recurrence` that returns what `run_layer` returns; the layer's weights must exist already.

    Layers without a row in `STEPS`, with recurrent dropout, and a GRU that resets before the product, run as Keras runs them.
    """
    import keras

    kind = type(layer).__name__
    if inputs.shape[1] == 1 or kind not in STEPS or not is_plain(layer):
        return run_layer(layer, inputs, states)
    run_steps = _block_lstm if kind == "LSTM" else _stepwise
    run = keras.layers.Lambda(lambda given: run_steps(layer, given[0], tuple(given[1:])), dtype="float32")
    sequence, *after = run([inputs, *(states or ())])
    return sequence, after


def is_plain(layer: Any) -> bool:
    """Whether its steps are those of `STEPS`: no mask of the state, and a reset gate after the product."""
    return getattr(layer, "reset_after", True) and not layer.recurrent_dropout


def _weights(layer: Any) -> Tensors:
    import tensorflow as tf

    cell = layer.cell
    return tuple(tf.convert_to_tensor(weight) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias))


def _block_lstm(layer: Any, inputs: Tensor, states: Tensors) -> Tensors:
    """As `_stepwise`, by TensorFlow's BlockLSTM, one operation for all steps; BlockLSTMV2 has a wrong gradient."""
    import tensorflow as tf

    kernel, recurrent, bias = _weights(layer)

    def ordered(weight: Tensor) -> Tensor:  # Keras i f c o -> i c f o
        i, f, candidate, o = tf.split(weight, 4, axis=-1)
        return tf.concat([i, candidate, f, o], axis=-1)

    zeros = tf.zeros((tf.shape(inputs)[0], layer.units))
    h, c = states or (zeros, zeros)
    unused = tf.zeros(layer.units)
    run = tf.raw_ops.BlockLSTM(
        seq_len_max=inputs.shape[1], x=tf.transpose(inputs, (1, 0, 2)), cs_prev=c, h_prev=h,
        w=ordered(tf.concat([kernel, recurrent], axis=0)), b=ordered(bias), wci=unused, wcf=unused, wco=unused,
        forget_bias=0.0, cell_clip=0.0, use_peephole=False,
    )  # fmt: skip
    return tf.transpose(run.h, (1, 0, 2)), run.h[-1], run.cs[-1]


def _stepwise(layer: Any, inputs: Tensor, states: Tensors) -> Tensors:
    """Inputs [B, T, C] -> outputs [B, T, U] and the final states [B, U]."""
    import tensorflow as tf

    kernel, recurrent, bias = _weights(layer)
    bias, inner = (bias[0], bias[1]) if bias.shape.rank == 2 else (bias, None)
    time_major = tf.transpose(inputs, (1, 0, 2))
    flat = tf.reshape(time_major, (-1, inputs.shape[2]))
    batch = tf.shape(inputs)[0]
    x = tf.reshape(tf.nn.bias_add(tf.matmul(flat, kernel), bias), (inputs.shape[1], batch, kernel.shape[1]))
    starts = states or (tf.zeros((batch, layer.units)),)
    outputs, *after = _loop(STEPS[type(layer).__name__], x, recurrent, inner, starts)
    return (tf.transpose(outputs, (1, 0, 2)), *after)


def _loop(step: Step, x: Tensor, recurrent: Tensor, inner: Tensor | None, starts: Tensors) -> Tensors:
    """Outputs [T, B, U] and final states, of x [T, B, G·U], recurrent weights [U, G·U] and their bias [G·U] or None."""
    import tensorflow as tf

    bias = tf.zeros(recurrent.shape[1]) if inner is None else inner

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(x: Tensor, recurrent: Tensor, bias: Tensor, *starts: Tensor) -> tuple[Tensors, Callable[..., Tensors]]:
        forward = _forward_pass(step, x, recurrent, bias, starts)

        def back(d_outputs: Tensor, *d_after: Tensor) -> Tensors:
            return _backward_pass(step, forward, recurrent, starts, d_outputs, d_after)

        return (forward.outputs, *forward.after), back

    result: Tensors = run(x, recurrent, bias, *starts)
    return result


@dataclass(frozen=True)
class _ForwardPass:
    """Results of all steps that the backward pass needs."""

    outputs: Tensor  # [T, B, U]
    after: Tensors  # final states
    states: tuple[Any, ...]  # TensorArrays of T states each
    kept: tuple[Any, ...]  # TensorArrays of what `Step.forward` keeps


def _arrays(count: int, length: int) -> tuple[Any, ...]:
    import tensorflow as tf

    return tuple(tf.TensorArray(tf.float32, length, clear_after_read=False) for _ in range(count))


def _write(arrays: tuple[Any, ...], t: Tensor, values: Tensors) -> tuple[Any, ...]:
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))


def _forward_pass(step: Step, x: Tensor, recurrent: Tensor, bias: Tensor, starts: Tensors) -> _ForwardPass:
    """All steps in turn; the arguments are those of `_loop`."""
    import tensorflow as tf

    length = x.shape[0]

    def body(t: Tensor, states: Tensors, arrays: tuple[Any, ...]) -> tuple[Tensor, Tensors, tuple[Any, ...]]:
        products = tf.nn.bias_add(tf.matmul(states[0], recurrent), bias)  # one operation, once TensorFlow fuses them
        after, kept = step.forward(x[t], products, states)
        return t + 1, after, _write(arrays, t, (*after, *kept))

    begin = (0, starts, _arrays(len(starts) + step.keeps, length))
    _, after, arrays = tf.while_loop(lambda t, *_: t < length, body, begin, parallel_iterations=1)
    return _ForwardPass(arrays[0].stack(), after, arrays[: len(starts)], arrays[len(starts) :])


def _backward_pass(
    step: Step, forward: _ForwardPass, recurrent: Tensor, starts: Tensors, d_outputs: Tensor, d_after: Tensors
) -> Tensors:
    """Derivatives of the loss with respect to x, recurrent weights, bias and starts: all steps in reverse."""
    import tensorflow as tf

    length, units = forward.outputs.shape[0], recurrent.shape[0]

    def body(t: Tensor, d: Tensors, arrays: tuple[Any, ...]) -> tuple[Tensor, Tensors, tuple[Any, ...]]:
        before = tuple(
            tf.cond(t > 0, lambda a=array: a.read(t - 1), lambda s=start: s)
            for array, start in zip(forward.states, starts, strict=True)
        )
        d = (d[0] + d_outputs[t], *d[1:])
        dx, du, past = step.backward(d, tuple(array.read(t) for array in forward.kept), before)
        through = tf.matmul(du, recurrent, transpose_b=True)
        return t - 1, (through if past[0] is None else through + past[0], *past[1:]), _write(arrays, t, (dx, du))

    begin = (length - 1, tuple(d_after), _arrays(2, length))
    _, d_starts, (dx, du) = tf.while_loop(lambda t, *_: t >= 0, body, begin, parallel_iterations=1)
    before = tf.reshape(tf.concat([starts[0][None], forward.outputs[:-1]], axis=0), (-1, units))
    d_products = tf.reshape(du.stack(), (-1, recurrent.shape[1]))
    d_recurrent = tf.matmul(before, d_products, transpose_a=True)
    return (dx.stack(), d_recurrent, tf.reduce_sum(d_products, axis=0), *d_starts)
