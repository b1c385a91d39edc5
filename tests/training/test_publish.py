"""The facts that a training stores about its data."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.training.fit_types import Stage
from forecaster.training.publish import data_facts
from tests.support.factories import panel_of, waves

PANEL = panel_of(*waves(2, 10))


def test_the_same_data_has_the_same_fingerprint_wherever_it_lies():
    assert data_facts(PANEL, "/a", None).sha256 == data_facts(PANEL, "/b", "%d").sha256


@pytest.mark.parametrize("part", ["target", "timestamps", "series", "offsets"])
def test_every_part_of_the_data_counts_in_the_fingerprint(part):
    changed = getattr(PANEL, part).copy()
    changed[1] = "other" if part == "series" else changed[1] + 1
    assert data_facts(replace(PANEL, **{part: changed}), "", None).sha256 != data_facts(PANEL, "", None).sha256


def test_the_facts_are_those_of_the_panel():
    facts = data_facts(PANEL, "/a.csv", None)
    assert (facts.rows, facts.series_count, facts.first, facts.last) == (20, 2, 0, 9)
    assert (facts.freq, facts.season_length, facts.layout) == ("1", 4, "long")
    assert (facts.series, facts.timestamp, facts.target) == ("series", "timestamp", "target")


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["epochs", "epochs"], "epochs"),
        (["epochs", "patience"], "patience"),
        (["patience", "time budget"], "time budget"),
        (["time budget", "interrupted"], "interrupted"),
    ],
)
def test_a_stage_ends_for_the_strongest_reason_of_any_member(reasons, expected):
    assert Stage((), tuple(SimpleNamespace(stopped=reason) for reason in reasons)).stopped == expected


def test_fingerprints_tell_a_missing_value_from_none():
    target = PANEL.target.copy()
    target[3] = np.nan
    assert data_facts(replace(PANEL, target=target), "", None).sha256 != data_facts(PANEL, "", None).sha256
