"""What each member adds: its own error, and the others' without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.backtest import backtest
from forecaster.contributions import contributions
from forecaster.models.export import joint_forecast
from forecaster.models.network import Network
from forecaster.models.task import Stage
from forecaster.planning import draft_plan
from forecaster.settings import TrainSettings
from forecaster.split import held_back
from tests.tiny import network_settings, panel_of, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


def nobody(context, known):
    return np.zeros((len(context), 3, 1))


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
    windows = held_back(panel, 3, 2)
    judged = backtest(panel, windows, plan, nobody, learned=False)
    found = contributions(panel, plan.needs, judged, stage)

    def mase(members):
        length = max(8, plan.smoothing.length if plan.smoothing else 0)
        made = np.asarray(joint_forecast(members, [windows.gather(length, 0)], smoothing=plan.smoothing))[:, :, 0]
        return replace(judged, forecasts={"": made}).scores("").mase

    for i, one in enumerate(found):
        assert one.error == pytest.approx(mase(networks[i : i + 1]), rel=1e-6)
        assert one.without == pytest.approx(mase(networks[:i] + networks[i + 1 :]), rel=1e-6)
    assert [one.member.split(", ")[2] for one in found] == ["center mean", "center last", "center season"]
    assert contributions(panel, plan.needs, judged, replace(stage, networks=stage.networks[:1])) == ()
