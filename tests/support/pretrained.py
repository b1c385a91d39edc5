"""Pretrained networks without a training: graphs written by hand, so that a test takes milliseconds.

The network for a season repeats the latest season of its context; the one without a season repeats the mean of the context. A
missing value is taken for the mean of the context.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import pytest

from forecaster.config import TrainSettings
from forecaster.serving import pretrained
from tests.support.factories import network_settings, panel_of, waves

if TYPE_CHECKING:
    from forecaster.training.plan import Draft

LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
WHOLE = network_settings(
    cell="gru", center="season", season_length=4, horizon=6, quantiles=LEVELS, linear=True, context_length=12
)


def draft_of(series: int = 3, season: int = 4, **options: Any) -> Draft:
    """The draft for a training on short series, of which a pretrained network may be a member."""
    from forecaster.training.auto_plan import draft_plan

    settings = TrainSettings(**{"horizon": 3, "pretrained": True, **options})
    return draft_plan(panel_of(*waves(series, 80), season_length=season), settings)


def ship(monkeypatch: pytest.MonkeyPatch, root: Path, *seasons: int, horizon: int = 6, width: float = 1.0) -> Path:
    """Let the program find networks for these seasons, and no others, in `root`. `width`: their standard deviation."""
    for season in seasons:
        write_network(root / str(season), season, horizon, width)
    monkeypatch.setattr(pretrained, "ROOT", root)
    return root


def write_network(folder: Path, season: int, horizon: int, width: float) -> None:
    """Write a network's graph and card."""
    folder.mkdir(parents=True, exist_ok=True)
    length = max(4 * season, 8)
    write_graph(folder / "model.onnx", length, season, horizon, width)
    settings = network_settings(cell="gru", context_length=length, horizon=horizon, quantiles=LEVELS)
    card = {
        "season_length": season,
        "serves": [season],
        "network": asdict(settings),
        "quantiles": LEVELS,
        "parameters": 7,
        "files": {"model.onnx": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()},
    }
    (folder / "card.json").write_text(json.dumps(card))


def write_graph(path: Path, length: int, season: int, horizon: int, width: float) -> None:
    """Write an ONNX graph: context [B, L] -> forecast [B, horizon, 12]."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    steps = np.arange(horizon) % season + length - season if season > 1 else np.zeros(horizon, np.int64)
    constants = {
        "zero": np.array(0.0, np.float64),
        "axis1": np.array([1], np.int64),
        "axis2": np.array([2], np.int64),
        "steps": steps.astype(np.int64),
        "offsets": width * np.array([0.0, *map(NormalDist().inv_cdf, LEVELS)]),
    }
    nodes = [
        helper.make_node("IsNaN", ["context"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "context"], ["values"]),
        helper.make_node("Not", ["missing"], ["seen"]),
        helper.make_node("Cast", ["seen"], ["ones"], to=TensorProto.DOUBLE),
        helper.make_node("ReduceSum", ["values", "axis1"], ["total"]),
        helper.make_node("ReduceSum", ["ones", "axis1"], ["count"]),
        helper.make_node("Div", ["total", "count"], ["mean"]),
        helper.make_node("Where", ["missing", "mean", "context"], ["filled"]),
        helper.make_node("Gather", ["filled" if season > 1 else "mean", "steps"], ["point"], axis=1),
        helper.make_node("Unsqueeze", ["point", "axis2"], ["column"]),
        helper.make_node("Add", ["column", "offsets"], ["forecast"]),
    ]
    graph = helper.make_graph(
        nodes,
        "pretrained",
        [helper.make_tensor_value_info("context", TensorProto.DOUBLE, ["B", length])],
        [helper.make_tensor_value_info("forecast", TensorProto.DOUBLE, ["B", horizon, 1 + len(LEVELS)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
