"""Recurrent-network forecasting from CSV files to cron jobs.

import forecaster                                    # costs nothing: names resolve on first use
model = forecaster.train("sales.csv", horizon=28)    # -> Model, already stored
model.predict().plot()                               # -> pandas.DataFrame -> matplotlib Figure
forecaster.load("sales").evaluate("new.csv")         # -> Report
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.version import __version__ as __version__

if TYPE_CHECKING:
    from forecaster.api import (
        ForecasterError,
        Model,
        check,
        compare,
        evaluate,
        explain,
        load,
        predict,
        stored_models,
        train,
        tune,
    )
    from forecaster.api.estimator import Forecaster
    from forecaster.api.keras_network import network
    from forecaster.api.results import Report
    from forecaster.api.supervised_windows import windows
    from forecaster.pretraining.series import make_series

__all__ = [
    "Forecaster",
    "ForecasterError",
    "Model",
    "Report",
    "check",
    "compare",
    "evaluate",
    "explain",
    "load",
    "make_series",
    "network",
    "predict",
    "stored_models",
    "train",
    "tune",
    "windows",
]

_HOMES = {  # of the names that forecaster.api itself does not have
    "Forecaster": "forecaster.api.estimator",
    "Report": "forecaster.api.results",
    "make_series": "forecaster.pretraining.series",
    "network": "forecaster.api.keras_network",
    "windows": "forecaster.api.supervised_windows",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'forecaster' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "forecaster.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
