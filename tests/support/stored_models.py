"""Stored models without a training: their graph is written by hand, so that a test of serving takes milliseconds.

The model repeats the latest season of its context, times `factor`, plus `bias`; a missing value there gives NaN.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from forecaster.models.exponential_smoothing import Smoothing
from forecaster.serving.manifest import FORMAT, DataFacts, Manifest, read_manifest, write_manifest
from forecaster.serving.store import Store
from tests.support.factories import FIT, network_settings

HOUR = 3_600_000_000  # microseconds, as timestamps count
START = dt.datetime(2024, 1, 1)
SEASON = 24  # hours; the context length of the model, too
# A batch that forecasts with it.
TWO_JOBS = """
status = "status.json"
[defaults]
model = "m"
[jobs.one]
data = "data.csv"
output = "out/one.csv"
[jobs.two]
data = "data.csv"
output = "out/two.csv"
horizon = 2
"""


def wave(n: int, t: int) -> float:
    """Series number `n` at hour `t`: a daily wave, a small trend, and noise that is the same in every run."""
    return round(50 + 10 * n + 8 * math.sin(t * math.pi / 12) + 0.01 * t + ((t * 7919 + n * 104729) % 97) / 97, 3)


def write_csv(
    path: Path,
    rows: int,
    series: Sequence[str] = ("a", "b"),
    *,
    start: dt.datetime = START,
    value: Callable[[int, int], float | None] = wave,
) -> Path:
    """Write `rows` hourly rows of each series to `path`, and return it. `value(series number, hour)`, None = missing."""
    lines = ["series,timestamp,target"]
    for n, name in enumerate(series):
        for t in range(rows):
            found = value(n, t)
            stamp = (start + dt.timedelta(hours=t)).isoformat(sep=" ")
            lines.append(f"{name},{stamp},{'' if found is None else repr(found)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def stored(
    models: Path,
    *,
    name: str = "m",
    horizon: int = 6,
    factor: float = 1.0,
    bias: float = 0.0,
    data: Path | str = "-",
    last: int = 0,
    created: str = "2024-01-01T00:00:00+00:00",
    smoothing: Smoothing | None = None,
    refused: str = "",
) -> int:
    """Publish a version of the model `name` in the store `models`, and return its number.

    `data`, `last` (the last timestamp of the training data, in microseconds) and `created` go into the manifest.
    A version that was `refused`, for the reason given, does not serve.
    """
    with Store(models).new_version(name) as draft:
        folder = draft.folder
        write_graph(folder / "model.onnx", horizon, factor, bias)
        manifest = Manifest(
            format=FORMAT,
            name=name,
            created=created,
            data=DataFacts(
                path=str(data),
                series="series",
                timestamp="timestamp",
                target="target",
                layout="long",
                freq="h",
                season_length=SEASON,
                zone=None,
                timestamp_format=None,
                rows=0,
                series_count=0,
                first=0,
                last=last,
                sha256="",
            ),
            horizon=horizon,
            context_length=SEASON,
            quantiles=(0.1, 0.9),
            members=(network_settings(context_length=SEASON, horizon=horizon, quantiles=(0.1, 0.9)),),
            fit=FIT,
            parameters=0,
            epochs=1,
            stopped="epochs",
            test_windows=1,
            serves_tested_weights=True,
            metrics={"model": {"mase": 0.8}, "seasonal-naive": {"mase": 1.0}},
            plan=(),
            versions={},
            files={},
            smoothing=smoothing,
            refused=refused,
        )
        write_manifest(folder, manifest)
        read_manifest(folder)
        return draft.publish(serves=not refused)


def write_graph(path: Path, horizon: int, factor: float, bias: float) -> None:
    """Write an ONNX graph: context [B, L] -> forecast [B, horizon, 3], which is the point, point - 2 and point + 2."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    constants = {
        "starts": np.array([-SEASON], np.int64),
        "ends": np.array([horizon - SEASON], np.int64),
        "axes": np.array([1], np.int64),
        "last": np.array([2], np.int64),
        "factor": np.array(factor, np.float64),
        "offsets": np.array([bias, bias - 2, bias + 2], np.float64),
    }
    nodes = [
        helper.make_node("Slice", ["context", "starts", "ends", "axes"], ["season"]),
        helper.make_node("Unsqueeze", ["season", "last"], ["column"]),
        helper.make_node("Mul", ["column", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offsets"], ["forecast"]),
    ]
    graph = helper.make_graph(
        nodes,
        "season",
        [helper.make_tensor_value_info("context", TensorProto.DOUBLE, ["B", "L"])],
        [helper.make_tensor_value_info("forecast", TensorProto.DOUBLE, ["B", horizon, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


def write_endless_graph(path: Path, horizon: int = 6) -> None:
    """Write an ONNX graph that never gives its forecast [B, horizon, 3] back: it counts to 2**62 first."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    state = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["B", horizon, 3]) for name in ("before", "after")]
    flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go", "on")]
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    steps = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["before"], ["after"])]
    body = helper.make_graph(steps, "step", [count, flags[0], state[0]], [flags[1], state[1]])
    constants = {"often": np.array(2**62), "true": np.array(True), "shape": np.array([1, horizon, 3])}
    constants |= {"axes": np.array([1, 2]), "zero": np.array([0]), "one": np.array([1])}
    nodes = [
        helper.make_node("Slice", ["context", "zero", "one", "one"], ["column"]),
        helper.make_node("Unsqueeze", ["column", "one"], ["cube"]),
        helper.make_node("Expand", ["cube", "shape"], ["start"]),
        helper.make_node("Loop", ["often", "true", "start"], ["forecast"], body=body),
    ]
    graph = helper.make_graph(
        nodes,
        "endless",
        [helper.make_tensor_value_info("context", TensorProto.DOUBLE, ["B", "L"])],
        [helper.make_tensor_value_info("forecast", TensorProto.DOUBLE, ["B", horizon, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
