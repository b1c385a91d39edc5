"""The options of the optimizer, of gradients, and of teacher forcing. None means "not given": the plan decides."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.config.option import choice, count, option
from forecaster.errors import UsageError


@dataclass(frozen=True)
class OptimizerOptions:
    """How gradients become steps of the weights."""

    optimizer: str | None = choice(None, "forecaster.models.optimizers:OPTIMIZERS", "Optimizer.", "Fitting")
    learning_rate: float | None = option(None, "Initial learning rate.", "Fitting", kind="float", bounds="(0, inf)")
    momentum: float | None = option(None, "Momentum of sgd and rmsprop.", "Fitting", kind="float", bounds="[0, 1)")
    weight_decay: float | None = option(
        None, "Share of each weight, times the learning rate, that a step takes away.", "Fitting", kind="float",
        bounds="[0, inf)",
    )  # fmt: skip
    clip_norm: float | None = option(
        None, "Maximum norm of the gradient; 0 = no clipping.", "Fitting", kind="float", bounds="[0, inf)"
    )
    clip_value: float | None = option(
        None, "Maximum size of each element of the gradient, in place of its norm.", "Fitting", kind="float",
        bounds="(0, inf)",
    )  # fmt: skip
    truncate: int | None = count("Recurrent steps that gradients go back (default: all).", "Fitting")
    teacher_forcing: tuple[float, float] | None = option(
        None, "Share of decoder steps that read the actual in training, first..last, e.g. 1..0.", "Fitting", kind="ramp"
    )

    def refuse_idle_optimizer_options(self) -> None:
        """UsageError for an option that has no effect on the optimizer, and for two ways of clipping."""
        from forecaster.models.optimizers import OPTIMIZERS

        name = self.optimizer or "adam"
        if self.momentum is not None and OPTIMIZERS[name].momentum is None:
            takers = ", ".join(one for one, row in OPTIMIZERS.items() if row.momentum is not None)
            raise UsageError(f"--momentum has no effect on --optimizer {name}.", f"Take one of {takers}.")
        if self.clip_norm and self.clip_value:
            raise UsageError("--clip-norm and --clip-value exclude each other.", "Leave one out.")
