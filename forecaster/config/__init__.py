"""The settings of every command, each option once.

A field declares an option once: its flag, its `FORECASTER_*` variable, its TOML key, its Python keyword, its checks and its
completion follow from it (`option.py`). `resolve.py` reads the values. No library is used: Typer declares flags alone, and a
settings library such as pydantic would have to be imported by every command.
"""

from __future__ import annotations

from collections.abc import Mapping

from forecaster.config.network_options import EnsembleOptions, NetworkOptions
from forecaster.config.operations import BatchSettings, MonitorSettings, ScheduleSettings
from forecaster.config.search import CompareSettings, TuneSettings
from forecaster.config.shared import FILE, CommonSettings, InputOptions, StoreOptions, StoreSettings
from forecaster.config.stored_model import (
    CheckSettings,
    EvaluateSettings,
    ExplainSettings,
    ImportSettings,
    PredictSettings,
    PruneSettings,
)
from forecaster.config.train import (
    CovariateOptions,
    FitOptions,
    PlanSettings,
    TargetOptions,
    TrainSettings,
    one_network,
)

__all__ = [
    "EVERY_SETTINGS",
    "FILE",
    "SETTINGS",
    "BatchSettings",
    "CheckSettings",
    "CommonSettings",
    "CompareSettings",
    "CovariateOptions",
    "EnsembleOptions",
    "EvaluateSettings",
    "ExplainSettings",
    "FitOptions",
    "ImportSettings",
    "InputOptions",
    "MonitorSettings",
    "NetworkOptions",
    "PlanSettings",
    "PredictSettings",
    "PruneSettings",
    "ScheduleSettings",
    "StoreOptions",
    "StoreSettings",
    "TargetOptions",
    "TrainSettings",
    "TuneSettings",
    "one_network",
]

# The commands that a TOML file may have a table for.
SETTINGS: Mapping[str, type] = {
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "predict": PredictSettings,
    "check": CheckSettings,
    "explain": ExplainSettings,
    "compare": CompareSettings,
    "tune": TuneSettings,
}
EVERY_SETTINGS: tuple[type, ...] = (
    CommonSettings,
    *SETTINGS.values(),
    PruneSettings,
    ImportSettings,
    BatchSettings,
    MonitorSettings,
    ScheduleSettings,
)
