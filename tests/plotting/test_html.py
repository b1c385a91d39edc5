"""Pages: whole, escaped, the same every time; and as a browser shows them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from forecaster.evaluation.quantile_metrics import coverage, mean_width
from forecaster.plotting import figures
from forecaster.plotting.evaluation_page import evaluation_page, read_history
from forecaster.plotting.forecast_plot import forecast_page, forecast_plot
from forecaster.plotting.html import page_table, render
from forecaster.plotting.series_view import Interval, forecast_views
from tests.support.browsers import shown
from tests.support.factories import NAN, waves
from tests.support.pages import EVIL, ahead, evaluation_content

ROOT = Path(__file__).parents[2]
HISTORY = "stage,epoch,loss,validation_loss,seconds\njudge 0,1,0.5,0.6,1\njudge 0,2,0.4,0.5,1\nfinal 0,1,0.5,,1\n"


class Tags(HTMLParser):
    """Counts the tags and attributes of a page, and gathers its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self.ids = [], [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a backtest with everything there is to show."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "history.csv").write_text(HISTORY)
    path = folder / "page.html"
    path.write_bytes(render(evaluation_page(evaluation_content(folder), ["a", EVIL])))
    return path


def test_it_shows_every_section(page):
    found = Tags(page.read_text())
    assert found.tags.count("h1") == 1
    sections = re.findall(r"<h2[^>]*>([^<]*)", page.read_text())
    assert sections == [
        "Scores alongside the baselines",
        "Forecasts and actuals",
        "Error by step ahead",
        "Error by series",
        "Calibration of the intervals",
        "Training",
        "The plan",
        "The data",
    ]
    assert found.tags.count("figure") == found.tags.count("figcaption") == found.tags.count("svg") == 7
    for who in ("seasonal-naive", "naive", "drift"):
        assert who in found.text


def test_names_are_text_and_never_markup(page):
    found = Tags(page.read_text())
    assert "script" not in found.tags and not [name for name in found.attributes if name.startswith("on")]
    assert EVIL in found.text
    drawn = Tags(render(forecast_page(ahead().forecast, forecast_views(ahead(), []))).decode())
    assert "script" not in drawn.tags and EVIL in drawn.text


def test_nothing_is_fetched_and_ids_are_the_pages_own(page):
    text = page.read_text()
    links = re.findall(r"""(?:href|src)=["']([^"']*)|url\(([^)]*)\)""", text)
    assert all((one or two).startswith(("#", "data:")) for one, two in links)
    found = Tags(text)
    assert len(found.ids) == len(set(found.ids))
    assert {one[1:] or two[1:] for one, two in links if (one or two).startswith("#")} <= set(found.ids)
    assert "@import" not in text and str(page.parent) not in text


@pytest.mark.slow
def test_the_same_backtest_gives_the_same_bytes_in_another_process(page, tmp_path):
    program = (
        "import sys, pathlib\nfrom tests.support.pages import EVIL, evaluation_content\n"
        "from forecaster.plotting.evaluation_page import evaluation_page\n"
        "from forecaster.plotting.html import render\n"
        "page = evaluation_page(evaluation_content(pathlib.Path(sys.argv[2])), ['a', EVIL])\n"
        "pathlib.Path(sys.argv[1]).write_bytes(render(page))\n"
    )
    again = tmp_path / "again.html"
    here = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "MPLBACKEND": "svg", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", program, again, page.parent], check=True, env=here, cwd=tmp_path)
    assert again.read_bytes() == page.read_bytes()


def test_a_caller_who_styles_matplotlib_gets_the_same_figure_and_keeps_his_style():
    import matplotlib as mpl

    (one, _) = forecast_views(ahead(), [])
    plain = figures.to_svg(figures.draw_series_view(one), "key")
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path"}):
        assert figures.to_svg(figures.draw_series_view(one), "key") == plain
        assert mpl.rcParams["lines.linewidth"] == 9


def test_the_intervals_numbers_are_counted_on_what_was_observed(tmp_path):
    values = waves(1, 40)
    last = values[0][-4]  # what the latest window forecasts, 2 more and less at the quantiles
    values[0][-3:] = [last, last + 10, NAN]
    found = evaluation_content(tmp_path, names=("a",), values=values, windows=1).backtest
    (interval,) = Interval.between(found.quantiles)
    assert found.quantile_scores().below == dict(zip(found.quantiles, (0.0, 0.5), strict=True))
    assert coverage(found.target, *interval.of(found.quantile_forecasts)) == 0.5
    assert mean_width(found.target, *interval.of(found.quantile_forecasts)) == pytest.approx(4.0)


def test_what_there_is_nothing_of_is_left_out(tmp_path):
    found = evaluation_content(tmp_path, names=("a",))
    titles = [section.title for section in evaluation_page(found, []).sections]
    assert "Training" not in titles and "Error by series" not in titles


def test_a_damaged_history_is_left_out(tmp_path):
    (tmp_path / "history.csv").write_text("stage,epoch\njudge 0,x\n")
    assert read_history(tmp_path) == {}


def test_history_keeps_stages_and_networks_apart(tmp_path):
    (tmp_path / "history.csv").write_text(HISTORY)
    found = read_history(tmp_path)
    assert list(found) == ["judge", "final"]
    assert found["judge"]["network 1"].loss == [0.5, 0.4]


def test_numbers_of_a_column_have_the_same_decimals_and_missing_ones_a_dash():
    found = page_table("t", ["name", "x", "n"], [["a", 1234.5, 1], ["b", 0.25, 2000], ["c", NAN, None]])
    assert found.columns[1].cells == ("1,234", "0", "–") or found.columns[1].cells == ("1,235", "0", "–")
    assert found.columns[2].cells == ("1", "2,000", "–")
    assert page_table("t", ["x"], [[0.123456], [0.2]]).columns[0].cells == ("0.1235", "0.2000")
    assert [column.number for column in found.columns] == [False, True, True]


@pytest.mark.slow
def test_a_picture_is_the_same_every_time_and_shows_the_forecast():
    one, two, other = (forecast_plot(ahead(), chosen, "a.png") for chosen in ([], [], ["a"]))
    assert one.startswith(b"\x89PNG") and one == two != other


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_shows_it_without_complaints_requests_or_overflow(page, width, scheme):
    with shown(page, width, scheme) as tab:
        sizes = tab.evaluate("[...document.querySelectorAll('figure svg')].map(s => [s.clientWidth, s.clientHeight])")
        letters = tab.evaluate(
            "Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))"
        )
        ink, paper = tab.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        headings = tab.evaluate("[...document.querySelectorAll('h1, h2')].filter(h => h.checkVisibility()).length")
    assert headings == 9
    assert len(sizes) == 7 and all(w > 200 and h > 100 for w, h in sizes)
    assert letters >= 9  # CSS pixels
    dark = sum(map(int, re.findall(r"\d+", ink)[:3])) > sum(map(int, re.findall(r"\d+", paper)[:3]))
    assert dark == (scheme == "dark")
