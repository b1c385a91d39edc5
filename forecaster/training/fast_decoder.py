"""The encoder–decoder's decoder with hand-derived backpropagation through time, compiled, for training on a CPU.

Names are those of `models/encoder_decoder.py` and `fast_recurrence.py`. All steps are one loop forward and one backward. A step
computes only what depends on the step before; the derivatives of the weights are taken once, of all steps.

With attention every unit of each of the T encoder's outputs passes a tanh at each step, which is most of the work. With
a = A s + b_a, k_j = B h_j and r_j = 1 / (1 + e^{2a} e^{2k_j}), tanh(a + k_j) = 1 − 2 r_j: the exponentials of the keys are taken
once, and a step has a division in place of each tanh. Then, up to a constant that softmax does not see,

    score_j = −2 v · r_j        dscore_j = α_j (dc · h_j − dc · c)        da = 4 v ⊙ Σ_j dscore_j r_j (1 − r_j)

and r is computed again, so that nothing of size T × units is kept for each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from forecaster.training.fast_recurrence import STEPS, is_plain

if TYPE_CHECKING:
    from forecaster.models.encoder import EncoderOutput
    from forecaster.models.encoder_decoder import EncoderDecoder
    from forecaster.training.fast_recurrence import Step
    from forecaster.typing import Tensor

Tensors: TypeAlias = "tuple[Tensor, ...]"
Named: TypeAlias = "dict[str, Tensor]"

LARGEST = 40.0  # of an argument: beyond it tanh is 1 in float32, and e^{2·40} is still a number


def fast_decode(
    head: EncoderDecoder, read: EncoderOutput, context: Tensor, states: Sequence[Tensor], teacher: Tensor | None
) -> Tensor | None:
    """[B, H, K], from the context vector [B, U] and the decoder's first states; None for a cell without a row in `STEPS`.

    H has whole segments; so has the teacher [B, H], NaN = not there. All weights must exist already.
    """
    import keras
    from keras import ops

    kind = type(head.decoder).__name__
    if kind not in STEPS or not is_plain(head.decoder):
        return None
    settings = head.settings
    given = {"before": read.inputs[:, -1, : settings.segment], "context": context}
    given.update({f"start{i}": state for i, state in enumerate(states)})
    if head.key:
        given.update({"sequence": read.sequence, "keys": head.key(read.sequence)})
    if teacher is not None:
        given["teacher"] = teacher
    if settings.dropout:
        width = settings.units + settings.segment + context.shape[1]
        ones = ops.repeat(ops.ones_like(context[:, None, :1]), head.count, axis=1)
        given["mask"] = head.dropout(ops.repeat(ones, width, axis=2))
    decoder = _Decoder(STEPS[kind], head.count, settings.segment, settings.outputs)
    run = keras.layers.Lambda(lambda tensors: decoder(tensors, _weights(head)), dtype="float32")
    return run(given)


def _weights(head: EncoderDecoder) -> Named:
    """The decoder's weights by their names here."""
    import tensorflow as tf

    cell = head.decoder.cell
    found = {
        "kernel": cell.kernel,
        "recurrent": cell.recurrent_kernel,
        "w": head.dense.kernel,
        "w_bias": head.dense.bias,
    }
    if head.asked and head.score:
        found.update(asked=head.asked.kernel, asked_bias=head.asked.bias, v=head.score.kernel)
    tensors = {name: tf.convert_to_tensor(weight) for name, weight in found.items()}
    bias = tf.convert_to_tensor(cell.bias)
    return {**tensors, **({"bias": bias[0], "inner": bias[1]} if bias.shape.rank == 2 else {"bias": bias})}


class _Decoder:
    """The two passes for one kind of cell: forecasts of `count` segments of S rows, K numbers each."""

    def __init__(self, step: Step, count: int, segment: int, outputs: int) -> None:
        import tensorflow as tf

        self.step, self.count, self.segment, self.outputs = step, count, segment, outputs
        self.forward = tf.function(self._forward, jit_compile=True, autograph=False)
        self.backward = tf.function(self._backward, jit_compile=True, autograph=False)

    def __call__(self, tensors: Named, weights: Named) -> Tensor:
        """[B, H, K], with whole segments."""
        import tensorflow as tf

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def run(given: Named) -> tuple[Tensor, Callable[..., list[Tensor | None]]]:
            forecast, kept = self.forward(given)

            def back(d_forecast: Tensor) -> list[Tensor | None]:
                found = self.backward(given, kept, d_forecast)
                return [found.get(name) for name in sorted(given)]

            return forecast, back

        flat = run({**tensors, **weights})  # [n, B, S·K]
        return tf.reshape(tf.transpose(flat, (1, 0, 2)), (-1, self.count * self.segment, self.outputs))

    def _points(self, flat: Tensor) -> Tensor:
        """[B, S·K] -> the point forecasts [B, S]."""
        return flat[:, :: self.outputs]

    def _forward(self, given: Named) -> tuple[Tensor, Named]:
        """Forecasts [n, B, S·K], and by name what the backward pass needs of each step [n, B, ·]."""
        import tensorflow as tf

        starts = tuple(given[f"start{i}"] for i in range(self.states(given)))
        raised = _raised(given["keys"]) if "keys" in given else None

        def body(t: Tensor, before: Tensor, states: Tensors, arrays: Named) -> tuple[Tensor, Tensor, Tensors, Named]:
            kept = {f"state{i}": state for i, state in enumerate(states)}
            context = given["context"]
            if raised is not None:
                once = _raised(tf.matmul(states[0], given["asked"]) + given["asked_bias"])
                alpha, context = _attend(raised, given["sequence"], once, given["v"])
                kept.update(once=once, alpha=alpha)
            read = tf.concat([before, context], axis=1)
            u = tf.matmul(states[0], given["recurrent"])
            u = u + given["inner"] if "inner" in given else u
            after, inside = self.step.forward(tf.matmul(read, given["kernel"]) + given["bias"], u, states)
            kept.update({"read": read, "output": after[0]}, **{f"inside{i}": one for i, one in enumerate(inside)})
            flat = tf.matmul(self._masked(given, t, tf.concat([after[0], read], axis=1)), given["w"]) + given["w_bias"]
            points = self._points(flat)
            if "teacher" in given:
                actual = self._teacher(given, t)
                points = tf.where(tf.math.is_nan(actual), points, actual)
            kept["flat"] = flat
            return t + 1, points, after, {name: arrays[name].write(t, value) for name, value in kept.items()}

        names = [f"state{i}" for i in range(len(starts))] + [f"inside{i}" for i in range(self.step.keeps)]
        names += ["read", "output", "flat", *(["once", "alpha"] if raised is not None else [])]
        arrays = {name: tf.TensorArray(tf.float32, self.count) for name in names}
        begin = (0, given["before"], starts, arrays)
        kept = {name: array.stack() for name, array in _loop(self.count, body, begin)[3].items()}
        return kept.pop("flat"), {**kept, **({"raised": raised} if raised is not None else {})}

    def _backward(self, given: Named, kept: Named, d_forecast: Tensor) -> Named:
        """Derivatives by name; of before, teacher and mask there are none."""
        import tensorflow as tf

        count, units = self.states(given), given["recurrent"].shape[0]
        first = tf.one_hot(0, self.outputs)
        batch = tf.shape(given["before"])[0]

        def body(i: Tensor, d_points: Tensor, d: Tensors, arrays: Named) -> tuple[Tensor, Tensor, Tensors, Named]:
            t = self.count - 1 - i
            d_flat = d_forecast[t] + tf.reshape(d_points[:, :, None] * first, (batch, self.segment * self.outputs))
            d_all = self._masked(given, t, tf.matmul(d_flat, given["w"], transpose_b=True))
            inside = tuple(kept[f"inside{i}"][t] for i in range(self.step.keeps))
            states = tuple(kept[f"state{i}"][t] for i in range(count))
            dx, du, past = self.step.backward((d[0] + d_all[:, :units], *d[1:]), inside, states)
            d_read = d_all[:, units:] + tf.matmul(dx, given["kernel"], transpose_b=True)
            through = tf.matmul(du, given["recurrent"], transpose_b=True)
            through = through if past[0] is None else through + past[0]
            d_context = d_read[:, self.segment :]
            found = {"d_flat": d_flat, "dx": dx, "du": du, "d_context": d_context}
            if "raised" in kept:
                context, once = kept["read"][t][:, self.segment :], kept["once"][t]
                back = _attend_back(
                    kept["raised"], given["sequence"], once, given["v"], kept["alpha"][t], context, d_context
                )
                found.update(zip(("d_asked", "d_score"), back, strict=True))
                through = through + tf.matmul(found["d_asked"], given["asked"], transpose_b=True)
            d_points = d_read[:, : self.segment]
            if "teacher" in given:  # of the step before
                d_points = tf.where(tf.math.is_nan(self._teacher(given, tf.maximum(t - 1, 0))), d_points, 0.0)
            written = {name: arrays[name].write(t, value) for name, value in found.items()}
            return i + 1, d_points, (through, *past[1:]), written

        names = ["d_flat", "dx", "du", "d_context", *(["d_asked", "d_score"] if "raised" in kept else [])]
        arrays = {name: tf.TensorArray(tf.float32, self.count) for name in names}
        zeros = tuple(tf.zeros_like(given["start0"]) for _ in range(count))
        _, _, d_starts, written = _loop(self.count, body, (0, tf.zeros_like(given["before"]), zeros, arrays))
        d = {name: array.stack() for name, array in written.items()}
        read = self._masked(given, None, tf.concat([kept["output"], kept["read"]], axis=2))
        found = {f"start{i}": one for i, one in enumerate(d_starts)}
        found.update(w=_product(read, d["d_flat"]), w_bias=_sum(d["d_flat"]), bias=_sum(d["dx"]), inner=_sum(d["du"]))
        found.update(kernel=_product(kept["read"], d["dx"]), recurrent=_product(kept["state0"], d["du"]))
        if "raised" not in kept:
            return {**found, "context": tf.reduce_sum(d["d_context"], axis=0)}
        found.update(asked=_product(kept["state0"], d["d_asked"]), asked_bias=_sum(d["d_asked"]))
        alpha = tf.transpose(kept["alpha"], (1, 2, 0))
        found["sequence"] = tf.matmul(alpha, tf.transpose(d["d_context"], (1, 0, 2)))
        found["keys"], found["v"] = _attention_sums(kept["raised"], kept["once"], d["d_score"], given["v"])
        return found

    def states(self, given: Named) -> int:
        """State vectors of the cell."""
        return sum(name.startswith("start") for name in given)

    def _teacher(self, given: Named, t: Tensor) -> Tensor:
        """[B, S] the actuals of a segment."""
        import tensorflow as tf

        teacher = given["teacher"]
        return tf.slice(teacher, [0, t * self.segment], [tf.shape(teacher)[0], self.segment])

    def _masked(self, given: Named, t: Tensor | None, read: Tensor) -> Tensor:
        """What the last layer reads [B, ·] at step t, or at all steps [n, B, ·], after dropout."""
        import tensorflow as tf

        if "mask" not in given:
            return read
        return read * (tf.transpose(given["mask"], (1, 0, 2)) if t is None else given["mask"][:, t])


def _loop(count: int, body: Callable[..., Any], begin: Any) -> Any:
    import tensorflow as tf

    return tf.while_loop(lambda t, *_: t < count, body, begin, parallel_iterations=1)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """[C, D] the sum over steps and windows of products of [n, B, C] and [n, B, D]."""
    import tensorflow as tf

    left, right = (tf.reshape(one, (-1, one.shape[-1])) for one in (left, right))
    return tf.matmul(left, right, transpose_a=True)


def _sum(values: Tensor) -> Tensor:
    """[D] of [n, B, D]."""
    import tensorflow as tf

    return tf.reduce_sum(values, axis=(0, 1))


def _raised(argument: Tensor) -> Tensor:
    """e^{2x}."""
    import tensorflow as tf

    return tf.exp(2.0 * tf.clip_by_value(argument, -LARGEST, LARGEST))


def _r(raised: Tensor, once: Tensor) -> Tensor:
    """1 / (1 + e^{2a} e^{2k}) [B, T, U], of e^{2k} [B, T, U] and e^{2a} [B, U]."""
    return 1.0 / (1.0 + once[:, None] * raised)


def _attend(raised: Tensor, sequence: Tensor, once: Tensor, v: Tensor) -> Tensors:
    """α [B, T] and c [B, D]. Sums over units and rows are products of matrices, which are faster than XLA's sums."""
    import tensorflow as tf

    scores = tf.matmul(tf.reshape(_r(raised, once), (-1, raised.shape[2])), -2.0 * v)
    alpha = tf.nn.softmax(tf.reshape(scores, (-1, raised.shape[1])))
    return alpha, tf.matmul(alpha[:, None], sequence)[:, 0]


def _attend_back(
    raised: Tensor, sequence: Tensor, once: Tensor, v: Tensor, alpha: Tensor, context: Tensor, d_context: Tensor
) -> Tensors:
    """da [B, U] and dscore [B, T]."""
    import tensorflow as tf

    d_alpha = tf.matmul(d_context[:, None], sequence, transpose_b=True)[:, 0]
    d_score = alpha * (d_alpha - tf.reduce_sum(d_context * context, axis=1, keepdims=True))
    r = _r(raised, once)
    return tf.matmul(d_score[:, None], r * (1.0 - r))[:, 0] * (4.0 * v[:, 0]), d_score


def _attention_sums(raised: Tensor, once: Tensor, d_score: Tensor, v: Tensor) -> Tensors:
    """dk [B, T, U] and dv [U, 1], from e^{2a} [n, B, U] and dscore [n, B, T] of all steps.

    dk = 4 v ⊙ Σ dscore r (1 − r), and dv = −2 Σ dscore r, as a step's dscore add up to 0. Two loops, as XLA makes one of both
    slower than two.
    """
    import tensorflow as tf

    def total(part: Callable[[Tensor], Tensor]) -> Tensor:
        def body(t: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
            return t + 1, found + d_score[t][:, :, None] * part(_r(raised, once[t]))

        return _loop(once.shape[0], body, (0, tf.zeros_like(raised)))[1]

    return total(lambda r: r * (1.0 - r)) * (4.0 * v[:, 0]), -2.0 * tf.reduce_sum(total(lambda r: r), axis=(0, 1))[
        :, None
    ]
