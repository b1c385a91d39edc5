"""Optimizers: Keras' own, with weight decay apart from the gradient, and gradients clipped by their norm or by value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.models.settings import FitSettings


@dataclass(frozen=True)
class Optimizer:
    """A row of OPTIMIZERS."""

    layer: str  # name of the class in `keras.optimizers`
    momentum: float | None = None  # where none is given; None: the optimizer takes none
    weight_decay: float = 0.0  # where none is given
    rate: float = 1.0  # learning rate where none is given, as a multiple of Adam's

    def make(self, settings: FitSettings, rate: Any) -> Any:
        """The Keras optimizer; `rate` is a learning rate or its schedule."""
        import keras

        made: Any = getattr(keras.optimizers, self.layer)(
            learning_rate=rate,
            global_clipnorm=settings.clip_norm or None,
            clipvalue=settings.clip_value or None,
            weight_decay=settings.weight_decay or (0.0 if self.weight_decay else None),
            **({} if self.momentum is None else {"momentum": settings.momentum}),
        )
        if settings.weight_decay:
            made.exclude_from_weight_decay(var_names=["bias"])
        return made


OPTIMIZERS: dict[str, Optimizer] = {
    "adam": Optimizer("Adam"),  # Kingma & Ba 2015
    "adamw": Optimizer("AdamW", weight_decay=0.004),  # decoupled weight decay, Loshchilov & Hutter 2019
    "nadam": Optimizer("Nadam"),  # with Nesterov's momentum, Dozat 2016
    "rmsprop": Optimizer("RMSprop", momentum=0.0),  # Tieleman & Hinton 2012
    "sgd": Optimizer("SGD", momentum=0.9, rate=10.0),  # momentum: Polyak 1964
}
