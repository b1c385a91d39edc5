"""Members get several scalings, and a simple method gets a share, only where that lowers the error on unseen windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.data.extra_inputs import Needs
from forecaster.data.windows import rolling
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING
from forecaster.models.export import joint_forecast
from forecaster.models.network import Network
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE
from forecaster.models.theta import THETA
from forecaster.training.auto_plan import draft_plan
from forecaster.training.combination import (
    Served,
    Unfitted,
    choose_simple_method,
    contributions,
    select_scalings,
    statistical_partner,
)
from forecaster.training.evaluation_set import EvaluationSet
from forecaster.training.fit_types import Stage
from forecaster.training.memory_forecasts import member_forecasts
from forecaster.training.plan import TargetScaling
from tests.support.factories import Recorder, network_settings, panel_of, waves

NONE, LOG = TargetScaling("none", "series"), TargetScaling("log", "transform")
PANEL = panel_of(*waves(3, 60))
WINDOWS = rolling(PANEL, PANEL.offsets[1:], 4, 1, 4)
TRUTH = WINDOWS.gather(0, 4)


@dataclass(frozen=True)
class GivenEvaluationSet(EvaluationSet):
    """A evaluation whose networks are their forecasts, and whose simple methods forecast as given."""

    smooth: np.ndarray | dict[str, np.ndarray] | None = None

    def forecast(self, networks):
        return np.median(networks, axis=0)

    def smoothed(self, smoothing):
        if isinstance(self.smooth, dict):
            return self.smooth.get(smoothing.method, TRUTH + 50.0)
        return self.smooth if smoothing.method == EXPONENTIAL_SMOOTHING else TRUTH + 50.0

    def history_error(self, smoothing):
        return self.error(self.smoothed(smoothing))


def evaluation_set(smooth=None, panel=PANEL, windows=WINDOWS):
    return GivenEvaluationSet(panel, windows, np.ones(3), relative=False, needs=Needs(8, 4, ()), smooth=smooth)


@pytest.fixture
def draft():
    return draft_plan(PANEL, TrainSettings(members=4, horizon=4))


@pytest.fixture
def plan(draft):
    return draft.plan


def chosen(draft, smooth, network):
    """The simple method that is chosen on these forecasts; None = the networks alone."""
    served = choose_simple_method(Served(draft.plan, network), draft.questions, evaluation_set(smooth), Recorder())
    return served.plan.smoothing


def test_scalings_with_opposite_errors_are_combined(plan):
    combined = select_scalings(plan, evaluation_set(), {NONE: TRUTH + 1.0, LOG: TRUTH - 1.0}, NONE, Recorder())
    assert combined.scalings[0] == NONE
    assert set(combined.scalings) == {NONE, LOG}
    assert combined.rows[-1].setting == "mixture"


def test_a_scaling_that_does_not_lower_the_error_is_left_out(plan):
    unchanged = select_scalings(plan, evaluation_set(), {NONE: TRUTH + 1.0, LOG: TRUTH + 3.0}, NONE, Recorder())
    assert unchanged is plan


def test_each_member_is_fitted_as_its_scaling_says(plan):
    scalings = [NONE, LOG, TargetScaling("log", "window"), NONE]
    fitted = plan.with_scalings(scalings, "").member_fits
    assert [TargetScaling(one.network.transform, one.fit.error_scale) for one in fitted] == scalings


def test_smoothing_that_is_exact_serves_alone_and_one_that_is_absurd_gets_no_share(draft):
    exact = chosen(draft, TRUTH, TRUTH + 1.0)
    assert (exact.method, exact.weight) == (EXPONENTIAL_SMOOTHING, 1.0)
    assert chosen(draft, TRUTH + 100.0, TRUTH + 1.0) is None


@pytest.mark.parametrize("method", [NAIVE, SEASONAL_NAIVE, DRIFT])
def test_any_simple_method_may_serve_alone(draft, method):
    best = chosen(draft, {method: TRUTH, EXPONENTIAL_SMOOTHING: TRUTH + 2.0}, TRUTH + 1.0)
    assert (best.method, best.weight) == (method, 1.0)


def test_a_method_that_serves_alone_without_the_lowest_error_says_so(draft):
    rng = np.random.default_rng(0)
    error = rng.normal(size=TRUTH.shape)
    network = TRUTH + 0.98 * error + 0.2 * rng.normal(size=TRUTH.shape)
    smooth, watch = evaluation_set({NAIVE: TRUTH + error}), Recorder()
    served = choose_simple_method(Served(draft.plan, network), draft.questions, smooth, watch).plan
    assert served.smoothing.method == NAIVE and served.smoothing.weight == 1.0
    assert "is not clearly lower" in next(row.reason for row in served.rows if row.setting == "floor")
    assert "100% naive, as no other is clearly better" in watch.notes[-1]
    assert served.with_method().rows[-1].reason == "see floor"


def test_opposite_errors_are_blended(draft):
    best = chosen(draft, {NAIVE: TRUTH - 1.0}, TRUTH + 1.0)
    assert (best.method, best.weight) == (NAIVE, 0.5)


def test_a_share_of_smoothing_as_given_is_held_fixed_and_its_method_still_chosen():
    given = draft_plan(PANEL, TrainSettings(members=1, horizon=4, floor=0.3))
    best = chosen(given, {NAIVE: TRUTH}, TRUTH + 1.0)
    assert (best.method, best.weight) == (NAIVE, 0.3)
    assert chosen(given, {NAIVE: TRUTH + 9.0}, TRUTH).weight == 0.3


def test_no_share_as_given_leaves_the_networks_alone():
    given = draft_plan(PANEL, TrainSettings(members=1, horizon=4, floor=0.0))
    assert given.plan.smoothing is None
    assert chosen(given, TRUTH, TRUTH + 1.0) is None


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_each_member_has_its_own_error_and_that_of_the_others_without_it(weight):
    panel = panel_of(*waves(3, 40))
    networks = [
        Network(network_settings(center=center), seed) for seed, center in enumerate(("mean", "last", "season"))
    ]
    plan = draft_plan(
        panel, TrainSettings(horizon=3, context_length=8, segment=2, quantiles=(), floor=weight, calendar=False)
    ).plan
    smoothing = plan.smoothing and replace(plan.smoothing, length=8)
    plan = replace(plan, members=tuple(network.settings for network in networks), smoothing=smoothing)
    stage = Stage(networks=tuple(networks), fits=(), smoothing=plan.smoothing)
    windows = holdout_windows(panel, 3, 2)
    holdout = make_holdout(panel, windows, horizon=3, context_length=8)
    members = member_forecasts(panel, holdout.windows, plan.needs, networks)
    found = contributions(holdout, stage, members)

    def mase(members):
        length = max(8, plan.smoothing.length if plan.smoothing else 0)
        made = np.asarray(joint_forecast(members, {"context": windows.gather(length, 0)}, smoothing=plan.smoothing))[
            :, :, 0
        ]
        return holdout.scores(made).mase

    for i, one in enumerate(found):
        assert one.error == pytest.approx(mase(networks[i : i + 1]), rel=1e-6)
        assert one.without == pytest.approx(mase(networks[:i] + networks[i + 1 :]), rel=1e-6)
    assert [one.member.split(", ")[2] for one in found] == ["center mean", "center last", "center season"]
    assert contributions(holdout, replace(stage, networks=stage.networks[:1]), members[:1]) == ()


def test_a_simple_method_serves_alone_unless_a_blend_is_better_by_a_standard_error(draft):
    rng = np.random.default_rng(2)
    noise = rng.normal(size=TRUTH.shape)
    hardly = {EXPONENTIAL_SMOOTHING: TRUTH + noise, NAIVE: TRUTH + 9.0}
    luck = np.abs(noise).mean() * 0.98 * np.sign(rng.normal(size=TRUTH.shape))
    best = chosen(draft, hardly, TRUTH + 1.02 * noise + 0.01 * luck)
    assert (best.method, best.weight) == (EXPONENTIAL_SMOOTHING, 1.0)
    assert chosen(draft, hardly, TRUTH + 0.1 * noise) is None or chosen(draft, hardly, TRUTH + 0.1 * noise).weight < 1.0


def test_where_networks_read_special_days_a_simple_method_gets_no_benefit_of_the_doubt(draft):
    rng = np.random.default_rng(2)
    noise = rng.normal(size=TRUTH.shape)
    smooth = {EXPONENTIAL_SMOOTHING: TRUTH + noise, NAIVE: TRUTH + 9.0}
    network = TRUTH + noise * [[0.7], [1.1], [1.05]]  # better by chance, on one window
    days = replace(draft.plan, calendar=("days:1.00/1.00/1.00/1.00/1.00/1.00/1.00,12-25=-1.000",))
    assert chosen(draft, smooth, network).weight == 1.0
    given = chosen(replace(draft, plan=days), smooth, network)
    assert given is None or given.weight < 1.0


def with_unfitted(draft, network, *, history, smooth):
    """The plan that is chosen where a pretrained network errs by 1 in the windows and by `history` before them."""
    pretrained = replace(draft.plan.members[0], pretrained=4, share=1.0)
    alone = Unfitted(
        replace(draft.plan, members=(pretrained,), smoothing=None), TRUTH + 1.0, TRUTH + 1.0, TRUTH + history
    )
    found = Served(draft.plan, network)
    return choose_simple_method(found, draft.questions, evaluation_set(smooth), Recorder(), alone).plan


def test_a_pretrained_network_serves_as_it_is_unless_another_is_clearly_better(draft):
    wobble = 0.5 * np.random.default_rng(0).normal(size=TRUTH.shape)
    plan = with_unfitted(draft, TRUTH + 1.0 + wobble, history=0.5, smooth={NAIVE: TRUTH + 2.0})
    assert (plan.method, plan.smoothing) == ("pretrained gru", None)
    better = with_unfitted(draft, TRUTH + 0.1, history=0.5, smooth={NAIVE: TRUTH + 2.0})
    assert better.members == draft.plan.members and better.smoothing is None
    worse = with_unfitted(draft, TRUTH + 0.9 + wobble, history=9.0, smooth={NAIVE: TRUTH + 0.9})
    assert worse.method == NAIVE


@pytest.mark.parametrize(
    ("errors", "history", "method"),
    [
        ([0.9, 0.8, 0.85], 1.0, NAIVE),  # in every window
        ([0.2, 1.3, 0.9], 1.0, "50 % pretrained gru; 50 % naive"),  # in the mean, by one window: half of both
        ([0.9, 1.3, 0.9], 1.0, "pretrained gru"),
        ([0.2, 1.3, 0.9], 1.3, NAIVE),  # by so much that few windows show it
    ],
)
def test_a_simple_method_takes_the_place_of_a_pretrained_network_by_no_luck_of_few_windows(
    draft, errors, history, method
):
    smooth = {NAIVE: TRUTH + np.array(errors)[:, None]}
    assert with_unfitted(draft, TRUTH + 3.0, history=history, smooth=smooth).method == method


def test_nothing_is_fitted_where_a_simple_method_serves_alone_beside_a_pretrained_network(draft):
    plan = with_unfitted(draft, TRUTH + 3.0, history=9.0, smooth={NAIVE: TRUTH})
    assert plan.method == NAIVE and [member.pretrained for member in plan.members] == [4]


def test_a_plan_with_a_pretrained_network_keeps_its_own_share_of_a_simple_method(draft):
    """Its shares were chosen together: a blend of all of it with smoothing, which would be better, is not tried."""
    pretrained = replace(draft.plan.members[0], pretrained=4, share=0.5)
    joined = replace(draft.plan, members=(*draft.plan.members[:2], pretrained), smoothing=None)
    smooth = {EXPONENTIAL_SMOOTHING: TRUTH - 2.0}
    shares = [
        choose_simple_method(Served(plan, TRUTH + 0.5), draft.questions, evaluation_set(smooth), Recorder()).plan
        for plan in (replace(draft.plan, smoothing=None), joined)
    ]
    assert shares[0].smoothing.method == EXPONENTIAL_SMOOTHING and 0.0 < shares[0].smoothing.weight < 1.0
    assert shares[1].smoothing is None


def test_the_statistical_method_with_the_lower_error_over_the_history_is_blended(draft):
    for better, other in ((EXPONENTIAL_SMOOTHING, THETA), (THETA, EXPONENTIAL_SMOOTHING)):
        best = chosen(draft, {better: TRUTH + 0.5, other: TRUTH + 0.9}, TRUTH - 0.5)
        assert best.method == better and 0.0 < best.weight < 1.0


@pytest.mark.parametrize(
    ("errors", "method"),
    [
        ([0.9, 0.8, 0.85], EXPONENTIAL_SMOOTHING),  # in every window
        ([0.98, 0.97, 0.96], THETA),  # in every window, and hardly
        ([0.2, 1.3, 0.9], THETA),  # in the mean, by one window
        ([0.2, 0.9, 0.7], EXPONENTIAL_SMOOTHING),  # by so much that few windows show it
    ],
)
def test_theta_is_blended_unless_smoothing_is_clearly_better(draft, errors, method):
    smooth = {THETA: TRUTH + 1.0, EXPONENTIAL_SMOOTHING: TRUTH + np.array(errors)[:, None]}
    assert statistical_partner(draft.questions.smoothings, evaluation_set(smooth)).method == method


def test_windows_of_a_stretch_of_a_horizon_are_one_witness():
    daily = rolling(PANEL, PANEL.offsets[1:], 4, 9, 1)  # of three series, at nine cutoffs in a row
    assert len(daily) == 27 and evaluation_set(windows=daily).stretches == 3 * 3
    assert evaluation_set().stretches == 3


@pytest.mark.parametrize(("error", "method"), [(0.9, NAIVE), (0.8, DRIFT)])
def test_drift_must_be_far_better_than_the_last_value_over_the_history(draft, error, method):
    best = chosen(draft, {NAIVE: TRUTH + 1.0, DRIFT: TRUTH + error}, TRUTH + 9.0)
    assert (best.method, best.weight) == (method, 1.0)


@pytest.mark.parametrize(("error", "method"), [(0.98, NAIVE), (0.96, THETA)])
def test_what_is_estimated_must_be_better_than_the_last_value_over_the_history(draft, error, method):
    best = chosen(draft, {NAIVE: TRUTH + 1.0, THETA: TRUTH + error}, TRUTH + 9.0)
    assert (best.method, best.weight) == (method, 1.0)


def test_a_blend_must_be_clearly_better_than_every_simple_method(draft):
    """It is that than the best over the history, seasonal naive, and not than exponential smoothing: seasonal naive serves."""
    smooth = {EXPONENTIAL_SMOOTHING: TRUTH + 1.0, SEASONAL_NAIVE: TRUTH + 3.0, NAIVE: TRUTH + 9.0}
    history = {SEASONAL_NAIVE: 0.5, EXPONENTIAL_SMOOTHING: 0.9}

    @dataclass(frozen=True)
    class WithHistory(GivenEvaluationSet):
        def history_error(self, smoothing):
            return history.get(smoothing.method, 1.0)

    evaluation = WithHistory(PANEL, WINDOWS, np.ones(3), relative=False, needs=Needs(8, 4, ()), smooth=smooth)
    mixed = TRUTH + np.array([[0.5], [1.2], [0.8]])
    found = choose_simple_method(Served(draft.plan, mixed), draft.questions, evaluation, Recorder()).plan.smoothing
    assert (found.method, found.weight) == (SEASONAL_NAIVE, 1.0)
    clear = choose_simple_method(
        Served(draft.plan, TRUTH + 0.1), draft.questions, evaluation, Recorder()
    ).plan.smoothing
    assert clear is None or clear.weight < 1.0
