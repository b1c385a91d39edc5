"""How far back a network's memory goes: norms of gradients through time.

* of the forecast with respect to each row of the context, ‖∂ŷ/∂x_t‖: what a small change of an old row does to the forecast;
* of each layer's last state with respect to its earlier ones, ‖∂s_T/∂s_t‖: the product of Jacobians that vanishes or explodes
  (Bengio et al. 1994; Pascanu et al. 2013). An LSTM's state is h and c together.

Norms are Frobenius norms, root mean squares over windows. They are estimated: for v of independent normal numbers, the mean of
‖vᵀJ‖² is ‖J‖² (Hutchinson 1990), and one backward pass gives vᵀJ for all earlier steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.extra_inputs import ExtraInputs
from forecaster.data.windows import evenly
from forecaster.models.encoder import run_layer

if TYPE_CHECKING:
    from forecaster.data.extra_inputs import Needs
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.encoder import Encoder
    from forecaster.models.network import Network
    from forecaster.typing import FloatArray, Json, Tensor

DRAWS = 4  # random vectors for each window
MAX_WINDOWS = 32
MAX_STRETCHES = 8  # rows of a network's table


@dataclass(frozen=True)
class Memory:
    """Norms of one network's gradients, from the oldest step to the latest."""

    rows: FloatArray  # [L] of the forecast in the network's units, by each scaled row, through encoder and head
    states: tuple[
        FloatArray, ...
    ]  # [T] each: of a layer's last state by its state after step t, 1 for t = T; forward layers

    @property
    def row_share(self) -> FloatArray:
        """[L] each row's share of the squared gradient; 0 where no row changes the forecast."""
        total = float((self.rows**2).sum())
        return self.rows**2 / total if total > 0.0 else np.zeros_like(self.rows)

    def reach(self, share: float = 0.9) -> int:
        """Number of latest rows that have this share of the squared gradient; 0 where no row changes the forecast."""
        if not self.rows.any():
            return 0
        return int(np.searchsorted(np.cumsum(self.row_share[::-1]), share * (1.0 - 1e-9)) + 1)


@dataclass(frozen=True)
class NetworkMemory:
    """One network's memory, and the size of its steps."""

    name: str
    segment: int  # rows in a recurrent step
    memory: Memory

    def stretches(self) -> list[tuple[str, float, float | None]]:
        """Rows back, their share of the squared gradient, and the state gradient at the oldest of them; latest first.

        The last is None for a network without recurrent layers.
        """
        length = len(self.memory.rows)
        size = self.segment * max(1, -(-length // (self.segment * MAX_STRETCHES)))
        found: list[tuple[str, float, float | None]] = []
        for back in range(0, length, size):
            last = min(back + size, length)
            share = float(self.memory.row_share[length - last : length - back].sum())
            state = None
            if self.memory.states:
                top = self.memory.states[-1]
                state = float(top[max(len(top) - 1 - (last - 1) // self.segment, 0)])
            found.append((f"{back + 1} to {last}", share, state))
        return found

    @property
    def sentence(self) -> str:
        """How far back the memory goes, in rows."""
        if not self.memory.rows.any():
            return f"{self.name}: the gradient of the forecast is 0: no row of the context changes it."
        return f"{self.name}: 90% of the squared gradient is by the latest {self.memory.reach()} of {len(self.memory.rows)} rows."

    def to_json(self) -> dict[str, Json]:
        """Norms from the oldest step to the latest."""
        rows: list[Json] = [float(one) for one in self.memory.rows]
        states: list[Json] = [[float(one) for one in layer] for layer in self.memory.states]
        return {
            "network": self.name,
            "segment": self.segment,
            "forecast_by_row": rows,
            "last_state_by_state": states,
            "rows_with_90_percent": self.memory.reach(),
        }


def network_memory(name: str, network: Network, panel: Panel, windows: Windows, needs: Needs) -> NetworkMemory:
    """The memory of a network on some of the windows."""
    some = windows.take(evenly(len(windows), MAX_WINDOWS))
    extra = {name: values[:, 0] for name, values in ExtraInputs(panel, some, needs)().items()}
    inputs = {"context": some.gather(needs.context_length, 0), **extra}
    network_inputs = [np.asarray(one) for one in network.read_of(network.own(inputs))[0]]
    return NetworkMemory(name, network.settings.segment, memory_of(network, network_inputs))


class _Recorder:
    """A `Recurrence` that runs each layer's cell step by step and keeps its states."""

    def __init__(self) -> None:
        self.runs: list[list[Tensor]] = []  # of each layer [T] states, [B, D] each

    def __call__(self, layer: Any, inputs: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        import tensorflow as tf

        if states is not None and inputs.shape[1] == 1:
            return run_layer(layer, inputs, states)
        after = list(states) if states is not None else [tf.zeros((len(inputs), layer.units))] * _states(layer)
        outputs, joint = [], []
        for step in range(inputs.shape[1]):
            # The states are joined and cut again, so that one tensor holds what the next step reads.
            _, found = layer.cell(inputs[:, step], after, training=False)
            whole = tf.concat(found if isinstance(found, (list, tuple)) else [found], axis=1)
            joint.append(whole)
            after = tf.split(whole, _states(layer), axis=1)
            outputs.append(after[0])
        self.runs.append(joint)
        return tf.stack(outputs, axis=1), after


def _states(layer: Any) -> int:
    size = layer.cell.state_size
    return len(size) if isinstance(size, (list, tuple)) else 1


def memory_of(network: Network, inputs: Sequence[FloatArray], seed: int = 0) -> Memory:
    """The memory of a network on windows, whose inputs are the values of `network.inputs()`."""
    import tensorflow as tf

    recorder = _Recorder()
    encoder = network.encoder.with_recurrence(recorder)
    values, mask, extra = network.encoder_inputs([tf.constant(one) for one in inputs])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        read = encoder.read(values, mask, extra)
        layers = recorder.runs[:: 2 if network.settings.bidirectional and not network.settings.network else 1]
        forecast = network.head.forecast(encoder, read)[:, :, 0]
    rng = np.random.default_rng(seed)
    rows = _norms(tape, forecast, [values], rng)[0]
    states = tuple(np.stack([_size(one) for one in _norms(tape, run[-1], run, rng)]) for run in layers)
    return Memory(rows=np.sqrt(rows.mean(axis=0)), states=tuple(one / one[-1] for one in states))


def state_gradients(encoder: Encoder, values: FloatArray, mask: FloatArray, seed: int = 0) -> tuple[FloatArray, ...]:
    """[T] for each layer: `Memory.states` of an encoder alone, on values and mask [B, L]."""
    import tensorflow as tf

    recorder = _Recorder()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(watched := tf.constant(values, tf.float32))
        encoder.with_recurrence(recorder).read(watched, tf.constant(mask, tf.float32))
    rng = np.random.default_rng(seed)
    found = [np.stack([_size(one) for one in _norms(tape, run[-1], run, rng)]) for run in recorder.runs]
    return tuple(one / one[-1] for one in found)


def _size(squared: FloatArray) -> float:
    """Root mean square over windows of the norms whose squares are the sums of [B, D]."""
    return float(np.sqrt(squared.sum(axis=1).mean()))


def _norms(tape: Any, target: Tensor, sources: Sequence[Tensor], rng: np.random.Generator) -> list[FloatArray]:
    """Estimates of Σ_i (∂target_i / ∂source)², of the shape of each source [B, …], window by window."""
    import tensorflow as tf

    total = [np.zeros(tuple(source.shape)) for source in sources]
    for _ in range(DRAWS):
        v = tf.constant(rng.normal(size=tuple(target.shape)), target.dtype)
        found = tape.gradient(target, list(sources), output_gradients=v, unconnected_gradients="zero")
        total = [sum_ + np.asarray(one) ** 2 for sum_, one in zip(total, found, strict=True)]
    return [sum_ / DRAWS for sum_ in total]
