"""`--plot`, `--report` and `--plot-series` from the command line: streams, files, wrong use."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.plotting import terminal
from forecaster.plotting.series_view import forecast_views
from tests.support.pages import ahead
from tests.support.stored_models import stored, write_csv


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with data of two series, `sales.csv`, and a model `m` of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    write_csv(tmp_path / "sales.csv", 60)
    stored(tmp_path / "models", data=tmp_path / "sales.csv")
    return tmp_path


@pytest.mark.slow
def test_a_plot_is_written_next_to_the_forecast_and_changes_nothing_of_it(place, capfd):
    assert run(["predict", "--quiet"]) == 0
    plain = capfd.readouterr().out
    assert run(["predict", "--quiet", "--plot", "p.png"]) == 0
    assert capfd.readouterr() == (plain, "")
    assert (place / "p.png").read_bytes().startswith(b"\x89PNG")
    assert run(["predict", "--quiet", "--plot", "p.html", "--plot-series", "b"]) == 0
    page = (place / "p.html").read_text()
    assert "<h3>b</h3>" in page and "<h3>a</h3>" not in page


@pytest.mark.usefixtures("place")
def test_a_terminal_plot_is_the_result_where_the_forecast_goes_to_a_file(capfd):
    assert run(["predict", "--quiet", "--output", "f.csv", "--plot", "-"]) == 0
    out, err = capfd.readouterr()
    assert "observed" in out and "forecast" in out and err == ""
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.usefixtures("place")
def test_a_terminal_plot_stays_off_a_stdout_that_carries_something_else(capfd):
    assert run(["predict", "--plot", "-"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("series,timestamp,prediction") and "forecast" not in out and "observed" in err
    assert run(["predict", "--plot", "-", "--json", "--output", "f.csv"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["output"] == "f.csv" and "observed" in err
    assert run(["predict", "--plot", "-", "--quiet"]) == 2
    assert "--plot - has no effect with --quiet" in capfd.readouterr().err


def test_a_terminal_plot_has_room_for_a_series_whose_latest_rows_are_missing():
    (view,) = forecast_views(ahead(("a",)), ())
    drawn = terminal.draw([replace(view, observed=view.observed * np.nan)], 80, color=False, unicode=True)
    assert "forecast" in drawn and "observed" not in drawn


def test_a_terminal_plot_obeys_no_series_name_and_has_ascii_for_old_terminals():
    views = forecast_views(ahead(names=("\x1b[2Jwiped",)), [])
    assert "\x1b" not in terminal.draw(views, 80, color=False, unicode=True)
    inside = [line for line in terminal.draw(views, 80, color=False, unicode=False).splitlines() if "|" in line]
    assert all(line.isascii() for line in inside)


WRONG = [
    (
        ["--plot", "p.gif"],
        "Give FILE.png, FILE.svg, FILE.pdf or FILE.html, or - for the terminal.",
    ),
    (["--plot-series", "a"], "--plot-series has no effect without --plot."),
    (["--plot", "p.png", "--output", "p.png"], "--plot and --output both name 'p.png'."),
    (["--plot", "p.png", "--plot-series", "c", "--output", "f.csv"], "there is no series 'c'."),
    (["--plot", "nowhere/p.png", "--output", "f.csv"], "'nowhere/p.png': cannot be written"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_use_is_named_in_one_line_and_leaves_no_file(words, said, place, capfd):
    before = set(place.iterdir())
    assert run(["predict", *words]) == 2
    out, err = capfd.readouterr()
    assert out == "" and said in err.splitlines()[-1]
    assert set(place.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "library"),
    [
        (["predict", "--plot", "p.png"], "matplotlib"),
        (["predict", "--plot", "p.html"], "jinja2"),
        (["predict", "--plot", "-"], "uniplot"),
        (["evaluate", "--report", "r.html"], "matplotlib"),
    ],
    ids=" ".join,
)
def test_without_the_extra_it_says_what_to_install_before_any_work(words, library, place, monkeypatch, capfd):
    (place / "sales.csv").unlink()  # reading it would be work
    monkeypatch.setattr(
        "forecaster.plotting.requirements.find_spec",
        lambda name: None if name == library else sys.modules[__name__].__spec__,
    )
    assert run(words) == 2
    assert "`pip install 'forecaster-rnn[plot]'`" in capfd.readouterr().err


@pytest.mark.usefixtures("place")
def test_a_report_has_to_be_a_page_and_series_need_a_report(capfd):
    for words, said in (
        (["--report", "r.png"], "'r.png' is not a place to draw to. Give FILE.html."),
        (["--report", "-"], "'-' is not a place to draw to."),
        (["--plot-series", "a"], "--plot-series has no effect without --report."),
    ):
        assert run(["evaluate", *words]) == 2
        assert said in capfd.readouterr().err


def test_evaluate_writes_the_page_of_what_it_says(place, capfd):
    write_csv(place / "newer.csv", 90)
    words = ("evaluate", "newer.csv", "--windows", "2")
    assert run([*words, "--json", "--quiet"]) == 0
    plain = json.loads(capfd.readouterr().out)
    assert run([*words, "--report", "r.html", "--plot-series", "b", "--json", "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert {**json.loads(out), "seconds": 0} == {**plain, "seconds": 0} and err == ""
    page = (place / "r.html").read_text()
    assert re.findall("<h3>([ab]) ", page) == ["b"] and f"{plain['metrics']['mase']:.3g}" in page


@pytest.mark.slow
def test_predict_without_a_plot_imports_nothing_that_draws(place):
    import subprocess

    program = (
        "import sys\nfrom forecaster.cli.main import run\ncode = run(['predict', '--quiet', '--output', 'f.csv'])\n"
        "drawing = {'matplotlib', 'jinja2', 'uniplot', 'PIL', 'forecaster.plotting'} & set(sys.modules)\n"
        "sys.exit(str(drawing) if drawing else code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
