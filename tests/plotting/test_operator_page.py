"""The operator's pages as a browser shows them: on a desktop and on a telephone."""

from __future__ import annotations

import pytest

from forecaster.plotting.html import render
from forecaster.plotting.operator_page import jobs_page, live_page
from tests.support.browsers import shown

EVIL = "<script>alert(1)</script> & \"'"


def scores(group):
    return {"group": group, "count": 7, "mae": 1.25, "naive_mae": 2.0, "relative": 0.625, "coverage": 0.8}


LIVE = {
    "model": "sales", "version": 3, "verdict": "keep", "reason": "its error is 0.62 of seasonal naive's", "promised": 0.8,
    "expected": 0.7, "waiting": 7, "fallbacks": 0, "alarms": 0, "cutoffs": 9, "overall": scores("all"),
    "recent": scores("recent"), "by_week": [scores(f"2024-01-{day:02}") for day in (1, 8, 15)],
    "by_step": [scores(str(step)) for step in range(1, 8)], "by_series": [scores(EVIL), scores("b" * 200)],
}  # fmt: skip
JOB = {
    "last_status": "failed", "last_success": "2026-05-01T00:00:00+00:00", "age_seconds": 93_600.0, "seconds": 3.25,
    "cutoff": "2026-04-30", "fallbacks": 2, "last_code": 3, "last_error": f"{EVIL}: no such file.", "command": "predict",
}  # fmt: skip
NEVER = {"last_status": "skipped", "last_success": None, "age_seconds": None, "last_code": 0, "last_error": None}
PAGES = {
    "jobs": jobs_page(
        "jobs.toml",
        "2026-05-02 02:00 UTC",
        {"sales": JOB, "x" * 100: {**NEVER, "command": "train"}},
        [
            {"model": "sales", "serves": 3, "versions": "1, 2, 3", "live": LIVE},
            {"model": "load", "serves": 1, "versions": "1", "fault": "no forecast of 'load'."},
        ],
    ),
    "live": live_page(LIVE),
    "waiting": live_page({**LIVE, "by_week": [], "by_step": [], "by_series": [], "promised": None}),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_same_every_time_and_names_are_text(name):
    text = render(PAGES[name]).decode()
    assert text == render(PAGES[name]).decode() and "<script" not in text
    assert text.count("<figure") == (name != "waiting")


def test_ages_are_read_at_a_glance():
    text = str(PAGES["jobs"])
    assert "1 d 2 h" in text and "3.25 s" in text and "1 done" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_shows_it_without_complaints_requests_or_overflow(tmp_path, name, width, scheme):
    page = tmp_path / "page.html"
    page.write_bytes(render(PAGES[name]))
    with shown(page, width, scheme) as tab:
        tiles = tab.evaluate("[...document.querySelectorAll('.tiles b')].filter(b => b.checkVisibility()).length")
    assert tiles == 4
