"""Members that are fitted at once report one progress; the final fit goes on from the tested weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecaster.training import fit_members
from forecaster.training.auto_plan import draft_plan
from forecaster.training.checkpoints import NoCheckpoints
from forecaster.training.fit_members import EnsembleFitter
from forecaster.training.split import split
from forecaster.typing import Progress
from tests.support.factories import Recorder, panel_of, train_settings, waves


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
    assert made.final.fits[0].best_epoch == math.ceil(fit_members.FINAL_EPOCHS * 3)
    monkeypatch.setattr(fit_members, "FINAL_RATE", 1e-9)
    still = stages()
    for tested, final, moved in zip(still.test.networks, still.final.networks, made.final.networks, strict=True):
        pairs = list(zip(tested.weights, final.weights, moved.weights, strict=True))
        for before, after, _ in pairs:
            np.testing.assert_allclose(after, before, atol=1e-5)
        assert any(np.abs(other - before).max() > 1e-3 for before, _, other in pairs)
