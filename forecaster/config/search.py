"""The settings of the commands that search for a better plan."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.config.network_options import CellOptions
from forecaster.config.option import option
from forecaster.config.shared import MemoryOptions
from forecaster.config.train import BudgetOptions, PlanSettings
from forecaster.errors import UsageError


@dataclass(frozen=True)
class CompareSettings(MemoryOptions, PlanSettings):
    """Settings of `compare`."""

    cells: tuple[str, ...] = option(
        ("rnn", "lstm", "gru"),
        "Cells to compare.",
        "Comparing",
        kind="names",
        choices=("forecaster.models.cells:CELLS",),
    )
    # On 18 sets the advice of one fit of each holds less often: benchmarks/RESULTS.md, Advice.
    seeds: int = option(3, "Fits of each cell, each with its own seed.", "Comparing", kind="int", bounds="[1, 100]")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_idle_memory_plot()
        if self.patience:
            raise UsageError(
                "--patience has no effect: every cell is fitted for the same number of epochs.", "Leave it out."
            )


@dataclass(frozen=True)
class TuneSettings(BudgetOptions, CellOptions, PlanSettings):
    """Settings of `tune`. An option that is given is not searched."""

    trials: int = option(
        30, "Plans to try, including those of earlier runs of this study.", "Tuning", kind="int", bounds="[1, inf)"
    )
    study: str | None = option(None, "SQLite file to store the search in and to continue from.", "Tuning")
    output: str = option("best.toml", "File to write; - is standard output.", "Forecast")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell == "auto":
            raise UsageError("--cell auto: tune tries every cell anyway.", "Leave it out.")
        if self.patience:
            raise UsageError("--patience has no effect: the number of epochs is searched.", "Leave it out.")
        if self.baselines != "naive":
            raise UsageError("--baselines has no effect: plans are compared with each other.", "Leave it out.")
