"""Recurrent-network forecasting from CSV files to cron jobs.

import forecaster                                    # costs nothing: names resolve on first use
model = forecaster.train("sales.csv", horizon=28)    # -> Model, already stored
model.predict()                                      # -> pandas.DataFrame
forecaster.load("sales").evaluate("new.csv")         # -> Report
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecaster.api import Model, load, train
    from forecaster.errors import ForecasterError
    from forecaster.report import Report

__all__ = ["ForecasterError", "Model", "Report", "load", "train"]

__version__ = "0.1.0"

_HOMES = {
    "ForecasterError": "forecaster.errors",
    "Model": "forecaster.api",
    "Report": "forecaster.report",
    "load": "forecaster.api",
    "train": "forecaster.api",
}


class _Package(ModuleType):
    """This module, where `forecaster.train` stays the function after the module `forecaster.train` was imported."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing a submodule binds its name in the package. The verb's module is reached by `from forecaster.train
        # import …`; its name here belongs to the Python API.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'forecaster' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
