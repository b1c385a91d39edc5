"""What each member adds: its own error, and the others' without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.models.export import joint_forecast
from forecaster.models.network import Network
from forecaster.training.auto_plan import draft_plan
from forecaster.training.combination import member_forecasts
from forecaster.training.contributions import contributions
from forecaster.training.task import Stage
from tests.support.factories import network_settings, panel_of, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_each_is_judged_alone_and_by_what_the_others_are_without_it(weight):
    panel = panel_of(*waves(3, 40))
    networks = [
        Network(network_settings(center=center), seed) for seed, center in enumerate(("mean", "last", "season"))
    ]
    plan = draft_plan(
        panel, TrainSettings(horizon=3, context_length=8, segment=2, quantiles=(), floor=weight, calendar=False)
    ).plan
    plan = replace(plan, members=tuple(network.settings for network in networks))
    stage = Stage(networks=tuple(networks), fits=(), smoothing=plan.smoothing)
    windows = holdout_windows(panel, 3, 2)
    holdout = make_holdout(panel, windows, horizon=3, context_length=8)
    members = member_forecasts(panel, holdout.windows, plan.needs, networks)
    found = contributions(holdout, stage, members)

    def mase(members):
        length = max(8, plan.smoothing.length if plan.smoothing else 0)
        made = np.asarray(joint_forecast(members, [windows.gather(length, 0)], smoothing=plan.smoothing))[:, :, 0]
        return holdout.scores(made).mase

    for i, one in enumerate(found):
        assert one.error == pytest.approx(mase(networks[i : i + 1]), rel=1e-6)
        assert one.without == pytest.approx(mase(networks[:i] + networks[i + 1 :]), rel=1e-6)
    assert [one.member.split(", ")[2] for one in found] == ["center mean", "center last", "center season"]
    assert contributions(holdout, replace(stage, networks=stage.networks[:1]), members[:1]) == ()
