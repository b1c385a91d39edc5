"""Texts of a Parquet file, which are read as categories, are read as those of a frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import fingerprint
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.frames import FrameTable
from forecaster.data.reading.read_options import ReadOptions

pytest.importorskip("pyarrow")
DAYS = pd.date_range("2024-01-01", periods=30)


def frame_of(**columns):
    whole = {"series": np.repeat(["b", "a"], 30), "timestamp": [*DAYS, *DAYS], "target": np.arange(60.0)}
    return pd.DataFrame({**whole, **columns})


FRAMES = {
    "in order": frame_of(),
    "by date": frame_of().sort_values("timestamp", kind="stable"),
    "missing series": frame_of(series=[None, *["b"] * 29, "", *["a"] * 29]),
    "texts": frame_of(timestamp=[*DAYS.astype(str), *DAYS.astype(str)], target=[f"{n}.5" for n in range(60)]),
    "no number": frame_of(target=["x", *map(str, range(59))]),
    "index": frame_of().set_index(["series", "timestamp"]),
    "unused category": frame_of(series=pd.Categorical(np.repeat(["b", "a"], 30), categories=["a", "", "b", "z"])),
}


@pytest.mark.parametrize("name", FRAMES)
def test_texts_of_parquet_are_those_of_the_frame(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    FRAMES[name].to_parquet("data frame.parquet")

    def found(source):
        checked = find_faults(source, ReadOptions.of())
        shown = [
            (kind.what, kind.count, [(one.column, one.found, one.line) for one in kind.shown]) for kind in checked.kinds
        ]
        panel = checked.panel
        return shown, panel and (fingerprint(panel), panel.notes, panel.warnings)

    expected = found(FRAMES[name])
    assert (expected[0] == []) == (name not in ("missing series", "no number"))
    assert repr(found("data frame.parquet")).replace("data frame.parquet", "data frame") == repr(expected)


def test_each_text_is_kept_once():
    frame = frame_of(series=pd.Categorical([None, *["b"] * 29, *["a"] * 30], categories=["a", "unused", "b"]))
    column = FrameTable("data frame", frame).text_column("series")
    assert list(column.texts) == ["a", "b", ""]
    assert column.codes.tolist() == [2, *[1] * 29, *[0] * 30]
