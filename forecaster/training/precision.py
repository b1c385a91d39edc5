"""Mixed precision: while a network is fitted, its layers compute with 16 bits; weights, losses and validation keep 32 or 64.

On a GPU the numbers are float16, which cuDNN's recurrent kernels take. Small gradients would be 0 in it, so the loss is
multiplied before the gradients are taken, and Keras' LossScaleOptimizer divides these again; a step whose gradients overflow is
left out. On a processor the numbers are bfloat16, which have float32's range and need no scale.

Source: Micikevicius et al. 2018, "Mixed precision training".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.typing import Tensor

FLOAT32 = "float32"


def policy_of(precision: str, *, on_gpu: bool) -> str:
    """Keras' name of what layers compute in."""
    if precision == FLOAT32:
        return FLOAT32
    return "mixed_float16" if on_gpu else "mixed_bfloat16"


@contextmanager
def layers_in(policy: str) -> Iterator[None]:
    """Layers that this thread builds meanwhile compute so; their weights are float32."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def with_loss_scale(optimizer: Any, policy: str) -> Any:
    """The optimizer; one that divides gradients by the loss's scale where numbers are float16."""
    import keras

    return keras.optimizers.LossScaleOptimizer(optimizer) if policy == "mixed_float16" else optimizer


def scaled(loss: Tensor, optimizer: Any) -> Tensor:
    """The loss that the gradients for `optimizer.apply` are taken of."""
    import keras

    return optimizer.scale_loss(loss) if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else loss
