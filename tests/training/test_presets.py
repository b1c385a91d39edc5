"""A preset says how much is tried; an option that is given comes before it; the plan says which preset it was."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.errors import UsageError
from forecaster.training.checkpoints import Checkpoints
from forecaster.training.evaluation_set import EvaluationSet
from forecaster.training.member_networks import pretrained_settings
from forecaster.training.presets import PRESETS
from forecaster.training.selection import select_settings
from forecaster.training.split import split
from forecaster.training.starting_point import continue_stored
from tests.support.factories import Recorder, panel_of, waves
from tests.support.pretrained import draft_of


def row_of(draft, setting):
    return next(row for row in draft.plan.rows if row.setting == setting)


@pytest.mark.parametrize("name", PRESETS)
def test_the_plan_says_which_preset_it_follows(name):
    draft = draft_of(preset=name)
    assert (row_of(draft, "preset").value, row_of(draft, "preset").reason) == (name, "as given")
    assert len(draft.plan.members) == PRESETS[name].members
    assert row_of(draft_of(), "preset").value == "default"


def test_more_is_tried_from_preset_to_preset():
    fast, default, best = (draft_of(series=30, preset=name) for name in ("fast", "default", "best"))
    tried = [len(one.plan.members) + len(one.questions.schedules) for one in (fast, default, best)]
    assert tried == sorted(tried) and tried[0] < tried[1] < tried[2]
    assert [len(one.questions.tunings) for one in (fast, default, best)] == [0, 2, 3]


def test_options_that_are_given_come_before_the_preset(shipped):
    draft = draft_of(preset="fast", members=3, epochs=9)
    assert (len(draft.plan.members), draft.plan.fit.epochs) == (3, 9)
    assert draft.questions.own_members == PRESETS["default"].own_members  # else the epochs would be those of no network
    assert draft_of(preset="fast", horizon=2, quantiles=(0.2, 0.5)).questions.own_members == 0


@pytest.mark.slow
def test_fast_fits_nothing_where_a_pretrained_network_answers(shipped, monkeypatch):
    draft = draft_of(preset="fast")
    panel = panel_of(*waves(3, 80), season_length=4)
    parts = split(panel, draft.plan.needs, draft.plan.windows)
    asked = []

    def fit_all(_stage, _task, members):
        asked.extend(one.fit.epochs for one in members)
        fits = [SimpleNamespace(stopped="epochs")] * len(members)
        return SimpleNamespace(networks=["pretrained"] * len(members), fits=fits, stopped="epochs")

    monkeypatch.setattr(
        EvaluationSet, "forecast", lambda self, _networks: np.nan_to_num(self.windows.gather(0, self.needs.horizon))
    )
    plan = select_settings(draft, panel, parts.selection, fit_all, Recorder())
    assert asked == [0]
    assert [(one.network.pretrained, one.fit.epochs) for one in plan.member_fits] == [(4, 0)]
    assert pretrained_settings(draft_of(preset="fast", season=5).plan) is None  # there one is fitted


def test_an_unknown_preset_is_refused_with_the_known_ones():
    from forecaster.config.resolve import from_mapping

    with pytest.raises(UsageError, match="'quick' is not one of fast, default, best"):
        from_mapping(TrainSettings, {"preset": "quick"}, "train()")


def test_a_preset_has_no_effect_on_the_networks_of_a_stored_version_and_is_refused(tmp_path):
    draft = draft_of(preset="best")
    panel = panel_of(*waves(3, 80), season_length=4)
    checkpoints = Checkpoints(tmp_path, tmp_path / "state", weights_only=False)
    with pytest.raises(UsageError, match="--preset best has no effect"):
        continue_stored(draft, checkpoints, panel, TrainSettings(preset="best", resume=True))
    unfinished = Checkpoints(tmp_path, tmp_path, weights_only=False)
    assert continue_stored(draft, unfinished, panel, TrainSettings(preset="best", resume=True)) is draft
