"""One date as text."""

from __future__ import annotations

from forecaster.data.reading.datetime_text import looks_like_stamp


def test_only_dates_look_like_stamps() -> None:
    assert all(map(looks_like_stamp, ("2024-01", "2024-01-31 13:00", "31/01/2024", "2024-Q1", "20240131T1200")))
    assert not any(map(looks_like_stamp, ("2024", "12.5", "-3", "1e5", "A-1", "", "20240131")))
