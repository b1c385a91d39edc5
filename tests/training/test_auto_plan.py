"""The plan: what is given wins, what is not is chosen from the training rows alone, contradictions are refused."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.data.reading.reader import read_panel
from forecaster.data.target_limits import Limits
from forecaster.errors import DataError, UsageError
from forecaster.models.cells import CELLS
from forecaster.models.network import Network
from forecaster.models.scaling import CENTERS, TRANSFORMS
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.models.simple_methods import SIMPLE_METHODS
from forecaster.training.auto_plan import draft_plan
from forecaster.training.plan import TargetScaling
from tests.support.factories import AIR, NAN, panel_of, waves

TEXTBOOK = {
    "cell": "lstm",
    "units": 64,
    "context_length": 10,
    "segment": 1,
    "head": "per-step",
    "loss": "mse",
    "epochs": 100,
    "batch_size": 32,
    "members": 1,
    "floor": 0.0,
}


@pytest.fixture(scope="module")
def air():
    return read_panel(AIR)


def draft_of(panel, **given):
    return draft_plan(panel, TrainSettings(**given))


def plan_of(panel, **given):
    return draft_of(panel, **given).plan


def test_the_textbook_network_is_one_lstm_and_a_dense_layer_at_every_step(air):
    plan = plan_of(air, **TEXTBOOK)
    (member,) = plan.members
    net = Network(member, seed=1)
    kinds = [type(layer).__name__ for layer in net.model.layers]
    assert [kind for kind in kinds if kind in ("SimpleRNN", "LSTM", "GRU", "Dense")] == ["LSTM", "Dense"]
    (recurrent,) = [layer for layer in net.model.layers if type(layer).__name__ == "LSTM"]
    assert (recurrent.units, recurrent.return_sequences) == (64, True)
    outputs = 1 + len(member.quantiles)
    values_and_mask = 2
    assert net.parameters == 4 * 64 * (values_and_mask + 64 + 1) + 64 * outputs + outputs


def test_the_textbook_network_is_trained_on_every_step(air):
    plan = plan_of(air, **TEXTBOOK)
    net = Network(plan.members[0], seed=1)
    assert net.head.target_span() == (1, 11)
    z, _, _ = net.training_model()([np.arange(20.0).reshape(2, 10)])
    assert z.shape == (2, 10, 4)


def test_the_textbook_fit_is_100_passes_with_adam_and_the_mean_square(air):
    fit = plan_of(air, **TEXTBOOK).fit
    assert (fit.loss, fit.epochs, fit.batch_size) == ("mse", 100, 32)
    assert (fit.steps_per_epoch, fit.patience) == (0, 0)  # whole passes, all of them


GIVEN = {
    "cell": "lstm",
    "units": 7,
    "layers": 2,
    "bidirectional": True,
    "dropout": 0.25,
    "residual": False,
    "context_length": 24,
    "segment": 6,
    "horizon": 5,
    "head": "seq2seq",
    "transform": "none",
    "center": "last",
    "input_initializer": "he",
    "recurrent_initializer": "glorot",
    "quantiles": (0.5,),
    "loss": "huber",
    "error_scale": "window",
    "epochs": 3,
    "batch_size": 9,
    "steps_per_epoch": 4,
    "learning_rate": 0.1,
    "schedule": "constant",
    "clip_norm": 0.5,
    "patience": 2,
    "seed": 5,
    "linear": False,
}


def test_whatever_is_given_is_taken(air):
    plan = plan_of(air, members=1, **GIVEN)
    made = {**vars(plan.members[0]), **vars(plan.fit)}
    assert {name: made[name] for name in GIVEN} == GIVEN
    assert plan.horizon == 5


def test_every_setting_of_a_network_and_a_fit_can_be_given():
    can_be_given = {field.name for field in fields(TrainSettings)}
    derived = {
        "known",
        "lags",
        "covariates",
        "stop_after",
        "origin",
        "point_level",
        "level",
        "profile",
        "fills_gaps",
        "special_days",
        "recent",
        "tuned",
        "share",
        "kept",
    }  # from --calendar, columns; by the final fit; from --min, --loss; by the shares and fits of pretrained members
    assert {f.name for kind in (NetworkSettings, FitSettings) for f in fields(kind)} - derived <= can_be_given


def test_the_reset_gate_can_be_put_on_either_side(air):
    assert plan_of(air, cell="gru", reset_after=False).members[0].reset_after is False
    assert plan_of(air, cell="gru", reset_after=True).members[0].reset_after is True


def test_each_setting_has_a_row_with_its_reason(air):
    rows = {row.setting: row for row in plan_of(air, units=7).rows}
    assert rows["units"].value == 7
    assert rows["units"].reason == "as given"
    assert rows["cell"].reason not in ("", "as given")
    assert len(rows) == len(plan_of(air, units=7).rows)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cell": "lstm", "reset_after": True}, "--reset-after has no effect on lstm"),
        ({"cell": "rnn", "reset_after": False}, "--reset-after has no effect on rnn"),
        ({"residual": True, "layers": 1, "segment": 1}, "--residual has no effect"),
        ({"residual": True, "layers": 1, "bidirectional": True, "segment": 12}, "--residual has no effect"),
        ({"context_length": 25, "segment": 12}, "--context-length 25 is not a multiple of --segment 12"),
        ({"resume": True, "start_from": "a"}, "--resume and --from"),
        ({"head": "recursive", "linear": True}, "--linear has no effect"),
        ({"head": "recursive", "calendar": True}, "--calendar has no effect"),
        ({"distribution": "normal", "loss": "mse"}, "--loss has no effect with --distribution normal"),
        ({"distribution": "student-t", "error_scale": "window"}, "--error-scale has no effect with"),
        ({"distribution": "negative-binomial", "transform": "log"}, "--transform log: .* takes counts as they are"),
        ({"distribution": "negative-binomial", "min": -1.0}, "--min -1 has no effect with"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(air, given, message):
    with pytest.raises(UsageError, match=message) as error:
        plan_of(air, **given)
    assert error.value.hint


def test_a_distribution_brings_its_likelihood_and_has_no_scale_of_errors(air):
    draft = draft_of(air, distribution="student-t")
    plan = draft.plan
    rows = {row.setting: row for row in plan.rows}
    assert (rows["distribution"].value, rows["loss"].value) == ("student-t", "likelihood")
    assert "error_scale" not in rows
    assert {member.distribution for member in plan.members} == {"student-t"}
    none, log = TargetScaling("none", "window"), TargetScaling("log", "window")
    assert draft.questions.scalings == (none, log)  # model selection still says which
    counts = draft_of(air, distribution="negative-binomial", transform="auto")
    assert counts.questions.scalings == (none,)


def test_no_distribution_is_the_default_and_can_be_given(air):
    plan, given = plan_of(air), plan_of(air, distribution="none", loss="mae")
    assert plan.members == given.members and plan.fit == given.fit
    assert {row.setting: row.value for row in plan.rows}["distribution"] == "none"


def test_counts_are_never_below_zero():
    assert TrainSettings(distribution="negative-binomial").limits == Limits(low=0.0)
    assert TrainSettings(distribution="negative-binomial", min=2.0).limits == Limits(low=2.0)
    assert TrainSettings(distribution="normal").limits == TrainSettings().limits == Limits()


def test_a_log_needs_values_of_0_and_above():
    panel = panel_of(*(row - 30 for row in waves(2, 40)))
    assert plan_of(panel).members[0].transform == "none"
    with pytest.raises(UsageError, match="--transform log needs values of 0 and above"):
        plan_of(panel, transform="log")


def test_the_automatic_plan_does_not_look_at_rows_of_test_windows():
    panel = panel_of(*waves(3, 80))
    draft = draft_of(panel)
    plan = draft.plan
    changed = panel.target.copy()
    for n in range(3):
        changed[panel.offsets[n + 1] - plan.horizon * plan.windows : panel.offsets[n + 1]] = -1e9
    changed[-1] = NAN
    assert draft_of(replace(panel, target=changed)) == draft


@pytest.mark.parametrize("rows", [2, 3, 5, 9, 14, 30, 200])
@pytest.mark.parametrize("season_length", [1, 4, 7, 96])
@pytest.mark.parametrize("horizon", [None, 1, 13])
def test_every_panel_has_a_plan_that_fits_together(rows, season_length, horizon):
    panel = panel_of(*waves(2, rows), season_length=season_length)
    plan = plan_of(panel, horizon=horizon, allow_untested_horizon=True)
    for member in plan.members:
        assert member.context_length % member.segment == 0
        assert member.context_length >= member.segment >= 1
        assert member.horizon == plan.horizon >= 1
        assert member.cell in CELLS and member.transform in TRANSFORMS and member.center in CENTERS
    assert plan.windows * plan.horizon < rows


def test_more_series_need_fewer_windows_each():
    few, many = panel_of(*waves(2, 100)), panel_of(*waves(40, 100))
    assert plan_of(few, horizon=4).windows > 1
    assert plan_of(many, horizon=4).windows == 1


def test_a_long_series_has_test_windows_enough_to_calibrate_intervals_within_a_share_of_its_rows():
    long, alike = panel_of(*waves(1, 6000)), panel_of(*waves(4, 6000))
    assert plan_of(long, horizon=4).windows == 60
    assert plan_of(alike, horizon=4).windows == 15
    assert plan_of(long, horizon=20).windows == 30  # a tenth of the rows
    assert plan_of(long, horizon=100).windows == 10  # a fifth


def test_a_log_is_not_refused_where_every_row_is_in_a_test_window():
    panel = panel_of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (
        plan_of(panel, horizon=4, windows=2, transform="log", allow_untested_horizon=True).members[0].transform == "log"
    )


def test_an_open_cell_is_a_gru_until_windows_say_otherwise(air):
    plan = plan_of(air, cell="auto")
    assert {member.cell for member in plan.members} == {"gru"}
    other = plan.with_cell("lstm", "it won")
    assert {member.cell for member in other.members} == {"lstm"}
    assert [(row.value, row.reason) for row in other.rows if row.setting == "cell"] == [("lstm", "it won")]
    with pytest.raises(UsageError, match="--reset-after has no effect on every cell"):
        plan_of(air, cell="auto", reset_after=True)


@pytest.mark.parametrize("given", [{"epochs": 3}, {"steps_per_epoch": 5}, {"learning_rate": 0.01}])
def test_a_given_schedule_leaves_everything_else_to_be_selected(air, given):
    usual, draft = draft_of(air), draft_of(air, **given)
    assert draft.plan.members == usual.plan.members
    for question in ("scalings", "contexts", "schedules", "smoothings"):
        assert getattr(draft.questions, question) == getattr(usual.questions, question)
    assert draft.questions.given == {name: value for name, value in given.items() if name != "steps_per_epoch"}


def test_where_epochs_and_their_steps_are_given_no_other_length_is_tried(air):
    given = {"epochs": 3, "steps_per_epoch": 5}
    schedules = draft_of(air, **given).questions.schedules
    assert {one.epochs for one in schedules} == {3} and len({one.learning_rate for one in schedules}) == 2
    assert len(draft_of(air, **given, learning_rate=0.01).questions.schedules) == 1


def test_one_network_alone_is_fitted_by_whole_passes_as_in_the_textbooks(air):
    plan = plan_of(air, epochs=3, members=1, floor=0.0)
    assert (len(plan.members), plan.smoothing, plan.fit.steps_per_epoch, plan.fit.epochs) == (1, None, 0, 3)
    assert plan_of(air, epochs=3, members=1, floor=0.0, steps_per_epoch=7).fit.steps_per_epoch == 7


def test_settings_in_which_members_differ_say_so(air):
    rows = {row.setting: row.value for row in plan_of(air).rows}
    assert (rows["cell"], rows["dropout"], rows["center"]) == ("gru, lstm", "0.1, 0.3", "season, mean, last")
    assert {row.setting: row.value for row in plan_of(air, cell="gru").rows}["cell"] == "gru"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, {"none by series", "log by transform", "log by window"}),
        ({"transform": "log"}, {"log by transform", "log by window"}),
        ({"error_scale": "series"}, {"none by series"}),
        ({"transform": "none", "error_scale": "window"}, {"none by window"}),
    ],
)
def test_a_given_scaling_leaves_those_that_agree_with_it(air, given, names):
    assert {str(one) for one in draft_of(air, **given).questions.scalings} == names


def test_members_are_combined_by_their_median_unless_asked_otherwise_and_one_alone_by_nothing(air):
    assert {member.combine for member in plan_of(air).members} == {"median"}
    assert {member.combine for member in plan_of(air, combine="mean").members} == {"mean"}
    assert "combine" not in [row.setting for row in plan_of(air, members=1).rows]
    for alone in ({"members": 1}, {"head": "recursive"}):
        with pytest.raises(UsageError, match="--combine has no effect"):
            plan_of(air, combine="mean", **alone)


@pytest.mark.parametrize(
    ("series", "settings", "contexts"),
    [
        (1, {"horizon": 6}, (56, 28)),
        (29, {"horizon": 6}, (56, 28)),
        (30, {"horizon": 6}, (56,)),  # many series teach what to pass over
        (1, {"horizon": 24}, (56,)),  # half would be less than 1.25 horizons
        (1, {"horizon": 6, "context_length": 40}, (40,)),
        (1, {"horizon": 6, "epochs": 3}, (56, 28)),
        (1, {"horizon": 6, "epochs": 3, "members": 1, "floor": 0.0}, (56,)),  # as in the textbooks
    ],
)
def test_half_the_context_is_asked_where_few_series_have_long_ones(series, settings, contexts):
    draft = draft_of(panel_of(*waves(series, 200)), **settings)
    assert draft.questions.contexts == contexts
    assert draft.plan.context_length == contexts[0]


@pytest.mark.parametrize(("rows", "horizon", "longest"), [(288, 192, 96), (288, 97, 96), (30, 12, 10), (7, 3, 2)])
def test_a_horizon_beyond_a_third_of_the_rows_is_refused_with_the_longest_that_can_be_tested(rows, horizon, longest):
    panel = panel_of(*waves(2, rows))
    with pytest.raises(DataError, match=f"--horizon {horizon} is more than a third") as refused:
        draft_of(panel, horizon=horizon)
    assert f"--horizon {longest} or less" in refused.value.hint
    assert draft_of(panel, horizon=longest).plan.smoothing is not None
    allowed = draft_of(panel, horizon=horizon, allow_untested_horizon=True).plan
    assert allowed.horizon == horizon and allowed.method in SIMPLE_METHODS


def test_the_automatic_horizon_can_always_be_tested():
    assert draft_of(panel_of(*waves(2, 30), season_length=24)).plan.horizon == 10


@pytest.mark.parametrize(
    ("level", "spread", "logs"), [(0.0, 9.0, True), (8e9, 1e6, True), (1e12, 5.0, False), (0.0, 1e-300, False)]
)
def test_no_log_is_taken_where_it_would_lose_the_range(level, spread, logs):
    values = level + spread * np.random.default_rng(0).random(90)
    assert ("log" in {one.transform for one in draft_of(panel_of(values)).questions.scalings}) == logs


def test_the_loss_says_what_the_point_forecast_is(air):
    levels = {loss: plan_of(air, loss=loss).members[0].point_level for loss in ("mae", "huber", "mse", "pinball:0.7")}
    assert levels == {"mae": 0.5, "huber": 0.5, "mse": None, "pinball:0.7": 0.7}
    counts = plan_of(air, distribution="negative-binomial", min=0.0).members[0]
    assert counts.point_level is None and plan_of(air, distribution="normal").members[0].point_level == 0.5


SEARCHED = {
    "epochs",
    "learning_rate",
    "transform",
    "error_scale",
    "floor",
}  # their equality is that of the search below


def test_any_option_set_to_what_the_plan_had_chosen_gives_the_same_plan(air):
    usual = draft_of(air)
    options = {field.name for field in fields(TrainSettings)}
    rows = {row.setting: row.value for row in usual.plan.rows if row.setting in options - SEARCHED}
    free = {name: value for name, value in rows.items() if value != "none" or name == "distribution"}
    several = {name for name in free if ", " in str(free[name])}  # members differ in it: no option can say so
    checked = set()
    for name in free.keys() - several - {"context_length"}:
        given = draft_of(air, **{name: free[name]})
        assert replace(given.plan, rows=()) == replace(usual.plan, rows=()), name
        assert given.questions == usual.questions, name
        checked.add(name)
    assert {
        "horizon",
        "windows",
        "segment",
        "head",
        "loss",
        "units",
        "layers",
        "batch_size",
        "members",
        "combine",
    } <= checked


@pytest.mark.parametrize("schedule", [(6, 5e-3), (6, 2e-3), (26, 5e-3)])
def test_a_schedule_as_it_was_chosen_changes_nothing(air, schedule):
    from types import SimpleNamespace

    from forecaster.training.selection import _CandidateFits

    def fit_all(_stage, _task, members):
        errors = [
            (0.5 if (m.fit.epochs, m.fit.learning_rate) == schedule else 1.0) + (m.network.transform == "log")
            for m in members
        ]
        states = [SimpleNamespace(state=SimpleNamespace(last_error=error), stopped="epochs") for error in errors]
        return SimpleNamespace(networks=members, fits=states, stopped="epochs")

    best = _CandidateFits(draft_of(air), None, fit_all).search()
    assert (best.schedule.epochs, best.schedule.learning_rate) == schedule
    for given in ({"epochs": schedule[0]}, {"learning_rate": schedule[1]}):
        assert _CandidateFits(draft_of(air, **given), None, fit_all).search() == best
    other = _CandidateFits(draft_of(air, epochs=11), None, fit_all).search()
    assert (other.schedule.epochs, other.scaling, other.context_length) == (11, best.scaling, best.context_length)
