"""The time that is said before fitting: it grows with what is fitted, and is near what was measured."""

from __future__ import annotations

import pytest

from forecaster.config import TrainSettings
from forecaster.data.reading.reader import read_panel
from forecaster.training import expected_time
from forecaster.training.auto_plan import draft_plan
from forecaster.training.expected_time import expected_seconds, time_to_come
from forecaster.training.split import split
from tests.support.factories import AIR, panel_of, waves

OWN = {"pretrained": False, "horizon": 6}


def seconds_of(panel, processors=1, **options):
    settings = TrainSettings(**options)
    draft = draft_plan(panel, settings)
    return expected_seconds(draft, split(panel, draft.plan.needs, draft.plan.windows), settings, processors)


@pytest.fixture(scope="module")
def panel():
    return panel_of(*waves(4, 240), season_length=12)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"members": 1}, {"members": 4}),
        ({"cell": "rnn", "units": 64}, {"cell": "lstm", "units": 256}),
        ({"layers": 1}, {"layers": 3}),
        ({"bidirectional": False}, {"bidirectional": True}),
        ({"segment": 12}, {"segment": 1}),
        ({"batch_size": 32}, {"batch_size": 512}),
        ({"epochs": 5, "steps_per_epoch": 20}, {"epochs": 50, "steps_per_epoch": 20}),
        ({"final_fit": False}, {"final_fit": True}),
        ({"preset": "fast"}, {"preset": "default"}),
        ({"preset": "default"}, {"preset": "best"}),
        ({"learning_rate": 0.01, "transform": "none", "epochs": 6, "steps_per_epoch": 50}, {}),  # nothing is selected
    ],
)
def test_more_to_fit_takes_longer(panel, less, more):
    assert seconds_of(panel, **OWN, **less) < seconds_of(panel, **OWN, **more)


def test_more_rows_and_more_series_take_longer_and_more_processors_less():
    few, many = (panel_of(*waves(series, 60), season_length=12) for series in (2, 200))
    assert seconds_of(few, **OWN) < seconds_of(many, **OWN)
    assert seconds_of(many, 4, **OWN) < seconds_of(many, 1, **OWN)


def test_trees_take_their_time(monkeypatch):
    long = panel_of(*waves(10, 400), season_length=12)
    some = seconds_of(long, **OWN)
    monkeypatch.setattr(expected_time, "TREES", 0.0)
    assert some == pytest.approx(seconds_of(long, **OWN) + 4 * 4.0)  # model selection, test and final fit, export


def test_the_time_budget_bounds_it(panel):
    assert seconds_of(panel, **OWN, time_budget=5.0) < 20.0 < seconds_of(panel, **OWN)


@pytest.mark.parametrize(("preset", "measured"), [("fast", 11.0), ("default", 27.0), ("best", 55.0)])
def test_it_is_near_the_processor_seconds_that_were_measured(preset, measured):
    found = seconds_of(read_panel(AIR), horizon=12, preset=preset)
    assert measured / 2.0 < found < 2.0 * measured


@pytest.mark.parametrize(
    ("seconds", "processors", "shown"),
    [(1.0, 1, "about 5 s on 1 core"), (41.0, 2, "about 40 s on 2 cores"), (130.0, 8, "about 2 min on 8 cores")],
)
def test_it_is_shown_as_people_say_it(seconds, processors, shown):
    assert time_to_come(seconds, processors) == shown
