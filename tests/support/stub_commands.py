"""Run the command line on verbs that do nothing: `python -m tests.support.stub_commands BEHAVIOUR ARGUMENTS…`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

from forecaster.errors import DataError
from forecaster.evaluation.metrics import Scores
from forecaster.evaluation.report import Report, Subject
from forecaster.progress import Progress, Watch
from forecaster.serving.manifest import PlanRow
from forecaster.training.report import TrainReport

SCORES = Scores(mae=1.0, rmse=2.0, smape=3.0, mase=float("nan"))
SUBJECT = Subject(
    model="air",
    version=3,
    cell="gru",
    parameters=1234,
    horizon=12,
    context_length=36,
    freq="MS",
    season_length=12,
    seconds=1.5,
)
REPORT = Report(
    **vars(SUBJECT),
    windows=4,
    metrics=SCORES,
    baselines={"seasonal naive": SCORES},
    by_series={"a": SCORES},
    by_step=(SCORES,) * 2,
    baselines_by_step={"seasonal naive": (SCORES,) * 2},
    judged_on="4 windows",
)
TRAINED = TrainReport(
    **vars(SUBJECT),
    path="models/air/3",
    epochs=7,
    stopped="patience",
    plan=(PlanRow("cell", "gru", "the default"),),
    notes=("a note",),
    report=REPORT,
)


class Forecast:
    """As much of a `Forecast` as the command line uses."""

    series = ("a",)
    prediction = SimpleNamespace(size=12)
    about = None

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def metadata(self) -> dict[str, object]:
        return {"series": 1, "rows": 12}

    def write(self, _output: str, format: str | None, **_: bool) -> None:
        for _ in range(self._rows):
            sys.stdout.write('{"forecast": []}\n' if format == "json" else "series,timestamp,prediction\n")


def behave(behaviour: str, watch: Watch) -> None:
    """What the stub of a verb does besides returning."""
    os.write(2, b"NOISE of a library in C++\n")
    watch.note("a note")
    watch.progress(Progress("judge", 1, 10, 0.5, None, 3.0))
    if behaviour == "bug":
        raise ZeroDivisionError("a bug")
    if behaviour == "fault":
        raise DataError("a.csv:17: bad.", "Mend it.")
    if behaviour == "interrupt":
        raise KeyboardInterrupt
    if behaviour == "noise":
        import logging
        import warnings

        warnings.warn("NOISE as a warning", stacklevel=1)
        logging.getLogger("tensorflow").warning("NOISE in a log")


def install(behaviour: str) -> None:
    """Put the stubs where the command line finds the verbs. `seen` of their modules keeps what they got."""
    seen: dict[str, object] = {}

    def verb(name: str, place: str, **results: object) -> None:
        """A module `place` with a function for each of `results`, which it returns."""
        module = ModuleType(place)
        for function, result in results.items():
            setattr(module, function, _function(name, result))
        module.seen = seen  # type: ignore[attr-defined]
        sys.modules[place] = module

    def _function(name: str, result: object) -> Callable[..., object]:
        def run(data: object, settings: object, watch: Watch, *_: object) -> object:
            seen.update(verb=name, data=data, settings=settings)
            behave(behaviour, watch)
            return result

        return run

    verb("train", "forecaster.commands.train", train=TRAINED)
    verb("evaluate", "forecaster.commands.evaluate", evaluate=REPORT)
    forecast = Forecast(1_000_000 if behaviour == "long" else 1)
    verb("predict", "forecaster.serving.predict", predict=forecast, run_forecast=SimpleNamespace(forecast=forecast))


if __name__ == "__main__":
    from forecaster.cli.main import main

    install(sys.argv.pop(1))
    main()
