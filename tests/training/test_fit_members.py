"""Members that are fitted at once report one progress; the final fit goes on from the tested weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from forecaster.training import fit_members, fit_types
from forecaster.training.auto_plan import draft_plan
from forecaster.training.checkpoints import NoCheckpoints
from forecaster.training.fit_members import EnsembleFitter
from forecaster.training.fit_types import MemberFit
from forecaster.training.split import split
from forecaster.typing import Progress
from tests.support.factories import Recorder, fit_settings, network_settings, panel_of, train_settings, waves


def test_the_time_left_is_that_of_epochs_without_compilation(monkeypatch):
    clock = iter([30.0, 31.0, 61.0, 62.0, 63.0])  # each member's first epoch compiles for half a minute
    monkeypatch.setattr(fit_members.time, "monotonic", lambda: next(clock))
    watch = Recorder()
    together = fit_members._JointProgress(watch, "test", [3, 2], 1)
    for member, epoch in ((0, 1), (0, 2), (1, 1), (0, 3), (1, 2)):
        together.member(member).progress(Progress("test", epoch, 3, 1.0, None, 0.0))
    assert [one.epoch for one in watch.reports] == [1, 2, 3, 4, 5]
    assert watch.reports[0].seconds_left == math.inf  # nothing is known yet, and nothing is said
    assert watch.reports[1].seconds_left == pytest.approx(3.0)
    assert watch.reports[-1].seconds_left == 0.0


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_the_final_fit_goes_on_from_the_tested_weights(monkeypatch, tmp_path):
    settings = train_settings(tmp_path, horizon=4, members=2, epochs=3)
    panel = panel_of(*waves(3, 40))
    draft = draft_plan(panel, settings)
    parts = split(panel, draft.plan.needs, draft.plan.windows)

    def stages():
        return EnsembleFitter(settings, NoCheckpoints(), Recorder(), 0.0).fit_stages(draft, panel, parts)

    made = stages()
    assert made.final.fits[0].best_epoch == math.ceil(fit_types.FURTHER_EPOCHS * 3)
    assert made.final.epochs == made.test.epochs == (3, 3)  # from the first weights on, as a refit needs them
    monkeypatch.setattr(fit_types, "FURTHER_RATE", 1e-9)
    still = stages()
    for tested, final, moved in zip(still.test.networks, still.final.networks, made.final.networks, strict=True):
        pairs = list(zip(tested.weights, final.weights, moved.weights, strict=True))
        for before, after, _ in pairs:
            np.testing.assert_allclose(after, before, atol=1e-5)
        assert any(np.abs(other - before).max() > 1e-3 for before, _, other in pairs)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_the_test_fit_goes_on_from_the_networks_of_model_selection(monkeypatch, tmp_path):
    settings = train_settings(tmp_path, horizon=4, members=2, epochs=3, context_length=12, patience=0, final_fit=False)
    panel = panel_of(*waves(3, 60))
    draft = draft_plan(panel, settings)
    draft = replace(draft, questions=replace(draft.questions, contexts=(12, 6)))
    parts = split(panel, draft.plan.needs, draft.plan.windows)
    assert parts.selection
    monkeypatch.setattr(fit_types, "FURTHER_RATE", 1e-9)
    fitter = EnsembleFitter(settings, NoCheckpoints(), Recorder(), 0.0)
    made = fitter.fit_stages(draft, panel, parts)
    chosen = next(one for one in fitter.candidates if one == made.plan.member_fits[0])
    # One member goes on from the candidate with its settings, the other starts from weights of its own.
    assert [one.best_epoch for one in made.test.fits] == [math.ceil(fit_types.FURTHER_EPOCHS * 3), 3]
    assert made.test.epochs == (3, 3)
    for before, after in zip(chosen.weights, made.test.networks[0].weights, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_fit_goes_on_from_the_same_member_only_and_once(tmp_path):
    fitter = EnsembleFitter(train_settings(tmp_path), NoCheckpoints(), Recorder(), 0.0)
    one, other = (MemberFit(network_settings(), fit_settings(epochs=epochs)) for epochs in (10, 20))
    pretrained = replace(one, network=network_settings(pretrained=12))
    weights = [np.ones(1)]
    fitter.candidates = [replace(fit, weights=weights) for fit in (one, pretrained)]
    found = fitter._going_on([one, one, other, pretrained])
    assert [fit.weights for fit in found] == [weights, None, None, None]
    assert [fit.schedule.epochs for fit in found] == [3, 10, 20, 10]
