"""The commands that help to choose a plan: `compare`, `tune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.cli.typer_adapter import DATA, Command
from forecaster.config import CompareSettings, TuneSettings

if TYPE_CHECKING:
    from forecaster.cli.console import Console


def _compare(settings: CompareSettings, console: Console, data: str) -> None:
    """Train rnn, lstm and gru with the same plan and show which has the lowest error. Nothing is stored."""
    from forecaster.cli.result_tables import comparison_table, memory_table
    from forecaster.commands.compare import compare

    found = compare(data, settings, console)
    if console.json:
        console.result(found.to_json())
    else:
        console.table(*comparison_table(found))
        if found.memories:
            console.line()
            console.table(*memory_table(found.memories))
            console.line()
        console.line(found.sentence)


def _tune(settings: TuneSettings, console: Console, data: str) -> None:
    """Search for a better plan on validation windows and write it for `train --config`."""
    from forecaster.cli.result_tables import tuned_table
    from forecaster.commands.tune import tune

    found = tune(data, settings, console)
    if settings.output == "-" and not console.json:
        if found.toml:
            console.lines(found.toml.rstrip())
        console.note(found.sentence)
    elif console.json:
        console.result({**found.to_json(), "output": settings.output, "toml": found.toml})
    else:
        console.table(*tuned_table(found))
        console.line(found.sentence)
        if found.toml:
            console.line(f"Written to {settings.output}. Train with `forecaster train --config {settings.output} …`.")


COMMANDS = (
    Command(
        "compare",
        CompareSettings,
        _compare,
        (DATA,),
        hush=True,
        needed=(
            "horizon cells bidirectional seeds series timestamp target known past static windows baselines memory "
            "threads"
        ),
        examples=("forecaster compare sales.csv --horizon 28 --cells rnn,gru,lstm",),
    ),
    Command(
        "tune",
        TuneSettings,
        _tune,
        (DATA,),
        hush=True,
        needed="horizon trials time_budget study output series timestamp target known past static cell seed threads",
        examples=("forecaster tune sales.csv --horizon 28 --time-budget 1h --output best.toml",),
    ),
)
