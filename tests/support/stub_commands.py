"""The command line with stubs in place of commands: `python -m tests.support.stub_commands BEHAVIOUR ARGUMENTS…`.

BEHAVIOUR is what the stubs do besides returning made-up reports: `fine` (nothing more), `bug`, `fault`, `memory`,
`library memory`, `interrupt`, `noise` (what libraries write), or `long` (a forecast of a million rows).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import numpy as np

from forecaster.commands.train_report import TrainReport
from forecaster.data.freq import Freq
from forecaster.errors import DataError
from forecaster.evaluation.metrics import Scores
from forecaster.evaluation.report import Report, Subject
from forecaster.serving.forecast import MODEL, About, Forecast
from forecaster.serving.plan_rows import PlanRow
from forecaster.typing import Progress, Watch

SCORES = Scores(mae=1.0, rmse=2.0, smape=3.0, mase=float("nan"))
SUBJECT = Subject(
    model="air",
    version=3,
    cell="gru",
    method="gru",
    parameters=1234,
    horizon=12,
    context_length=36,
    freq="MS",
    season_length=12,
    seconds=1.5,
    forecasts_mean=False,
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

# What `install` replaces in sys.modules; a test that installs stubs restores these modules when it ends.
TRAIN, TOGETHER, EVALUATE, PREDICT = MODULES = (
    "forecaster.commands.train",
    "forecaster.commands.train_together",
    "forecaster.commands.evaluate",
    "forecaster.serving.predict",
)


def forecast_of(rows: int) -> Forecast:
    """A forecast of one series for `rows` whole-number steps."""
    steps = np.arange(rows, dtype=np.int64)[None]
    about = About(model="air", version=3, cutoff=np.zeros(1, np.int64), failed=(), season_length=1)
    return Forecast(
        series=np.array(["a"], dtype=object),
        timestamps=steps,
        prediction=steps.astype(float),
        quantiles=(),
        quantile_forecasts=np.zeros((1, rows, 0)),
        source=np.array([MODEL], dtype=object),
        freq=Freq.parse("1"),
        zone=None,
        about=about,
    )


def behave(behaviour: str, watch: Watch) -> None:
    """Do what the stub of a command does besides returning a report."""
    os.write(2, b"NOISE of a library in C++\n")
    watch.note("a note")
    watch.progress(Progress("test", 1, 10, 0.5, None, 3.0))
    if behaviour == "memory":
        raise MemoryError
    if behaviour == "library memory":  # as onnxruntime's import says it
        raise ImportError("Exception caught: std::bad_alloc")
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
    """Put modules of stubs where the command line imports its commands; their `seen` keeps the arguments of the call."""
    seen: dict[str, object] = {}

    def stub(name: str, module_name: str, **results: object) -> None:
        """A module with a function for each of `results`, which returns it."""
        module = ModuleType(module_name)
        for function, result in results.items():
            setattr(module, function, returning(name, result))
        module.seen = seen  # type: ignore[attr-defined]
        sys.modules[module_name] = module

    def returning(name: str, result: object) -> Callable[..., object]:
        def run(data: object, settings: object, watch: Watch, *_: object) -> object:
            seen.update(verb=name, data=data, settings=settings)
            behave(behaviour, watch)
            return result

        return run

    stub("train", TRAIN, train=TRAINED)
    stub("train", TOGETHER, train_as_told=TRAINED)
    sys.modules[TOGETHER].Part = type("Part", (), {})  # type: ignore[attr-defined]
    stub("evaluate", EVALUATE, evaluate=REPORT)
    forecast = forecast_of(1_000_000 if behaviour == "long" else 1)
    stub("predict", PREDICT, predict=forecast, run_forecast=SimpleNamespace(forecast=forecast))


if __name__ == "__main__":
    from forecaster.cli.main import main

    install(sys.argv.pop(1))
    main()
