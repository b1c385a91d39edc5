"""The page and the metrics of a batch: every job, every model, nothing that a name could break."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from forecaster.commands.batch.operator_report import metrics
from forecaster.errors import UsageError
from tests.commands.batch.test_orders import WATCHED, forecasts
from tests.commands.batch.test_run import FakeClock, ran
from tests.support.stored_models import stored

JOBS = """
status = "status.json"
[jobs.sales]
data = "data.csv"
output = "1.csv"
model = "m"
[jobs.late]
data = "none.csv"
output = "2.csv"
model = "m"
"""
LINE = re.compile(
    r'[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? -?[0-9.e+-]+|# (HELP|TYPE) .+'
)


def test_the_page_shows_every_job_and_model_and_is_written_again_when_nothing_is_to_be_done(shop):
    page = shop / "page.html"
    _, summary = ran(shop, JOBS, report=str(page))
    text = page.read_text()
    assert "sales" in text and "none.csv" in text and "<script" not in text and summary["failed"] == 1
    assert re.search(r"failed</dt><dd><b>1</b>late", text)
    clock = FakeClock(dt.datetime(2026, 5, 3, 2, tzinfo=dt.timezone.utc))
    ran(shop, JOBS, clock, report=str(page))
    assert "2 d 2 h" in page.read_text() and "1 done" not in page.read_text()


def test_live_errors_are_those_of_the_ledger_beside_seasonal_naives(shop):
    stored(shop / "models")
    forecasts(shop, 12, bias=6.0)
    text = WATCHED[WATCHED.index("[jobs.watch]") :] + 'model = "m"\n' + JOBS[JOBS.index("[jobs.sales]") :]
    ran(shop, text, report=str(shop / "page.html"), metrics=str(shop / "m.prom"))
    page = (shop / "page.html").read_text()
    (shop / "2026-05-01").mkdir()
    (shop / "data.csv").rename(shop / "2026-05-01" / "data.csv")
    ran(shop, text.replace('"data.csv"', '"{date}/data.csv"'), report=str(shop / "page.html"))
    assert (shop / "page.html").read_text().count("<figure") == 1
    assert "its quantiles cover 0% of the actuals" in page and page.count("<figure") == 1
    found = (shop / "m.prom").read_text()
    assert 'forecaster_model_retrain{model="m"} 1' in found and 'forecaster_model_version{model="m"} 3' in found
    assert all(LINE.fullmatch(line) for line in found.splitlines()), found


def test_metrics_are_in_the_text_format_whatever_a_name_holds():
    jobs = {'a"b\\c\nd': {"last_status": "done", "last_code": 0, "last_success": "2026-05-01T00:00:00+00:00"}}
    text = metrics(dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc), jobs, [])
    assert all(LINE.fullmatch(line) for line in text.splitlines())
    assert r'forecaster_job_last_success_time_seconds{job="a\"b\\c\nd"} 1777593600' in text
    assert text.endswith("\n") and text.count("# TYPE forecaster_job_state gauge") == 1


def test_a_page_that_cannot_be_written_costs_no_job_and_is_said(shop):
    _, summary = ran(shop, JOBS, report=str(shop / "no" / "page.html"), metrics=str(shop / "m.prom"))
    assert summary["done"] == 1 and "page.html" in summary["status_error"] and (shop / "m.prom").exists()


def test_another_ending_is_refused_before_anything_runs(shop):
    with pytest.raises(UsageError, match="--report"):
        ran(shop, JOBS, report=str(shop / "page.txt"))
    assert not (shop / "1.csv").exists()
