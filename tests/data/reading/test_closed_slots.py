"""Slots of the day or week that never have a value are no rows of the panel; those that only lack some are."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import RowOptions
from forecaster.errors import DataError


def stamps(start, end, freq, days=range(7), hours=range(24)):
    every = pd.date_range(start, end, freq=freq)
    return every[np.isin(every.day_of_week, list(days)) & np.isin(every.hour, list(hours))]


def frame(index):
    return pd.DataFrame({"timestamp": index, "value": np.random.default_rng(0).uniform(1, 9, len(index))})


def with_csv(table, tmp_path, quoted=False):
    path = tmp_path / f"table{quoted}.csv"
    table.to_csv(path, index=False, quoting=1 if quoted else 0)
    return path


JANUARY_TO_MAY = ("2023-01-02", "2023-05-01")
KINDS = {
    "market hours": (stamps(*JANUARY_TO_MAY, "h", range(5), range(10, 17)), "h@Mon-Fri 10:00-16:00", 7),
    "two sessions": (
        stamps(*JANUARY_TO_MAY, "30min", range(5), [9, 10, 13, 14]), "30min@Mon-Fri 09:00-10:30,13:00-14:30", 8,
    ),
    "half past": (stamps(*JANUARY_TO_MAY, "h", range(5), range(9, 16)) + pd.Timedelta("30min"), "h@Mon-Fri 09:00-15:00", 7),
    "closed Saturdays": (stamps(*JANUARY_TO_MAY, "D", [0, 1, 2, 3, 4, 6]), "D@Mon-Fri,Sun", 6),
    "closed Sundays and Mondays": (stamps(*JANUARY_TO_MAY, "D", [1, 2, 3, 4, 5]), "D@Tue-Sat", 5),
    "business days": (stamps(*JANUARY_TO_MAY, "D", range(5)), "B", 5),
    "short Saturdays": (
        stamps(*JANUARY_TO_MAY, "h", range(5), range(8, 18)).union(stamps(*JANUARY_TO_MAY, "h", [5], [10, 11, 12])),
        "h@Mon-Fri 08:00-17:00; Sat 10:00-12:00", 53,
    ),
    "daylight": (stamps("2023-03-01", "2023-03-20", "5min", hours=range(6, 19)), "5min@06:00-18:55", 156),
    "three shifts of which two": (stamps(*JANUARY_TO_MAY, "8h", hours=[8, 16]), "8h@08:00-16:00", 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["frame", "plain", "quoted"])
def test_slots_that_never_occur_are_left_out(kind, how, tmp_path):
    index, name, season = KINDS[kind]
    table = frame(index)
    panel = read_panel(table if how == "frame" else with_csv(table, tmp_path, how == "quoted"))
    assert (panel.freq.name, panel.season_length, panel.gaps) == (name, season, 0)
    assert len(panel.target) == len(index)
    assert kind == "business days" or any("--all-slots" in note for note in panel.notes)
    ahead = panel.freq.after(panel.last_timestamps, 3 * (len(panel.freq.slots) or 5))[0]
    assert np.isin((ahead + 3 * 86_400_000_000) % (7 * 86_400_000_000), weekly(panel.timestamps)).all()


def weekly(timestamps):
    return (timestamps + 3 * 86_400_000_000) % (7 * 86_400_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_cells_are_no_values_either(kind):
    index, name, _ = KINDS[kind]
    step = name.split("@")[0].replace("B", "D")
    whole = (
        frame(index)
        .set_index("timestamp")
        .reindex(pd.date_range(index[0], index[-1], freq=step))
        .reset_index(names="timestamp")
    )
    panel = read_panel(whole)
    assert panel.freq.name == name and len(panel.target) == len(index)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_missing_rows_stay_gaps(kind):
    index, name, _ = KINDS[kind]
    lost = np.arange(20, len(index) - 5, 23)
    panel = read_panel(frame(index.delete(lost)))
    assert (panel.freq.name, panel.gaps) == (name, len(lost))


@pytest.mark.parametrize("kind", KINDS)
def test_all_slots_keeps_them(kind):
    index, name, _ = KINDS[kind]
    if name != "B":
        options = replace(ReadOptions.of(), rows=RowOptions(all_slots=True))
        panel = read_as(frame(index), options)
        assert not panel.freq.slots and panel.gaps > 0


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize(("freq", "rows"), [("h", 24 * 30), ("15min", 96 * 20), ("D", 90)])
def test_rows_missing_at_random_close_nothing(share, freq, rows):
    rng = np.random.default_rng(1)
    index = pd.date_range("2024-01-01", periods=rows, freq=freq)
    table = frame(index[rng.random(rows) > share])
    assert not read_panel(table, freq=freq).freq.slots


@pytest.mark.parametrize(
    ("freq", "rows", "lost"), [("h", 96, slice(20, 40)), ("D", 21, slice(5, 7)), ("15min", 400, slice(100, 160))]
)
def test_one_outage_closes_nothing(freq, rows, lost):
    index = pd.date_range("2024-01-01", periods=rows, freq=freq)
    panel = read_panel(frame(index.delete(np.arange(rows)[lost])))
    assert not panel.freq.slots and panel.gaps == lost.stop - lost.start


def test_a_known_pattern_takes_few_rows_and_refuses_values_at_other_times():
    freq = "h@Mon-Fri 10:00-16:00"
    panel = read_panel(frame(stamps("2023-01-05", "2023-01-10", "h", range(5), range(10, 17))), freq=freq)
    assert panel.gaps == 0 and len(panel.target) == 21
    late = frame(pd.DatetimeIndex(["2023-01-05 10:00", "2023-01-05 20:00", "2023-01-06 11:00"]))
    with pytest.raises(DataError, match="does not fit frequency h@Mon-Fri 10:00-16:00"):
        read_panel(late, freq=freq)
    late.loc[1, "value"] = np.nan
    assert len(read_panel(late, freq=freq).target) == 9


def test_hours_of_a_market_in_a_zone_go_by_its_clock():
    index = stamps("2023-01-02", "2023-05-01", "h", range(5), range(10, 16)).tz_localize("America/New_York")
    panel = read_panel(frame(index))
    assert (panel.freq.name, panel.gaps, panel.zone) == ("h@Mon-Fri 10:00-15:00", 0, "America/New_York")


def test_series_of_a_panel_share_the_slots():
    index, name, _ = KINDS["market hours"]
    table = pd.concat([frame(index).assign(series="a"), frame(index[30:]).assign(series="b")])
    panel = read_panel(table)
    assert panel.freq.name == name and panel.gaps == 0 and panel.lengths.tolist() == [len(index), len(index) - 30]
    buffer = io.StringIO()
    table.pivot(index="timestamp", columns="series", values="value").to_csv(buffer)
    wide = read_panel(pd.read_csv(io.StringIO(buffer.getvalue())))
    assert wide.layout == "wide" and wide.freq.name == name
