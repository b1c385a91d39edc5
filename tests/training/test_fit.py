"""Fitting: repeatable, resumable, stoppable, and honest about which weights are best."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from threading import Event

import numpy as np
import pytest

from forecaster.errors import ArtifactError
from forecaster.models.network import Network
from forecaster.models.seasonal_profile import Profile, season_of
from forecaster.models.settings import FitSettings
from forecaster.training.checkpoints import read_state, write_state
from forecaster.training.compiled_steps import Trainer, Trainers
from forecaster.training.fit import FitControl, fit, keep_nothing
from forecaster.training.split import Needs, split
from tests.support.factories import NAN, Recorder, fit_settings, network_settings, panel_of, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]

PANEL = panel_of(*waves(3, 40))


def parts_of(panel=PANEL, windows=1):
    return split(panel, Needs(8, 3, calendar=()), windows)


@cache
def usual_parts():
    """The same rows for all fits, so that those with equal compiled settings can share a trainer."""
    return parts_of()


COMPILED = Trainers()  # compiling takes nearly all of a fit here


def fitted(
    task=None, *, network=None, watch=None, start=None, checkpoint=keep_nothing, stop=None, alone=False, **changes
):
    """A tiny network after its fit, and the result. What goes on from a state, or is `alone`, is compiled anew."""
    net = network or Network(network_settings(), seed=1)
    work = task or usual_parts().selection
    control = FitControl(watch or Recorder(), "test", start=start, checkpoint=checkpoint, stop=stop or Event())
    trainers = Trainers() if start or alone else COMPILED
    done = fit(net, work, fit_settings(**changes), control, trainers=trainers)
    return net, done


def bytes_of(arrays):
    return b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)


@pytest.fixture(scope="module")
def unbroken():
    """Four epochs in one go, and the state after each."""
    states = []
    net, done = fitted(epochs=4, checkpoint=states.append)
    return net, done, states


def test_the_same_seed_gives_the_same_bytes(unbroken):
    again, done = fitted(epochs=4, alone=True)
    assert bytes_of(again.weights) == bytes_of(unbroken[0].weights)
    assert [row.loss for row in done.history] == [row.loss for row in unbroken[1].history]


def test_going_on_from_a_state_equals_the_unbroken_fit(unbroken, tmp_path):
    _, whole, states = unbroken
    write_state(tmp_path / "state.npz", states[1])
    net, rest = fitted(epochs=4, network=Network(network_settings(), seed=99), start=read_state(tmp_path / "state.npz"))
    assert bytes_of(net.weights) == bytes_of(unbroken[0].weights)
    assert bytes_of(rest.state.weights) == bytes_of(whole.state.weights)
    assert bytes_of(rest.state.optimizer) == bytes_of(whole.state.optimizer)
    assert [row.epoch for row in rest.history] == [3, 4]


def test_fitting_learns(unbroken):
    losses = [row.loss for row in unbroken[1].history]
    assert losses[-1] < losses[0]


@pytest.fixture(scope="module")
def cosine():
    """Three epochs of a schedule, and the state after each."""
    states = []
    net, _ = fitted(epochs=3, schedule="cosine", checkpoint=states.append)
    return net, states


def test_a_resumed_cosine_goes_on_where_it_was(cosine):
    whole, states = cosine
    rest, _ = fitted(epochs=3, schedule="cosine", network=Network(network_settings(), seed=99), start=states[0])
    assert bytes_of(rest.weights) == bytes_of(whole.weights)


def test_a_finished_fit_goes_on_for_another_round_and_keeps_what_it_learns():
    task = parts_of().final  # no validation windows: the last weights serve
    first, done = fitted(task, epochs=2)
    before = bytes_of(first.weights)
    net, more = fitted(task, epochs=2, network=Network(network_settings(), seed=99), start=done.state)
    assert len(more.history) == 2
    assert bytes_of(net.weights) == bytes_of(more.state.weights) != before


OTHER = {
    "loss": "mse",
    "error_scale": "window",
    "batch_size": 5,
    "steps_per_epoch": 3,
    "learning_rate": 3e-2,
    "schedule": "cosine",
    "clip_norm": 0.01,
    "seed": 1,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 0.5,
    "clip_value": 0.001,
    "truncate": 1,
    "precision": "mixed",
    "teacher_forcing": (1.0, 0.0),
}
# What else it takes for a setting to have an effect.
WITH = {"momentum": {"optimizer": "sgd"}, "clip_value": {"clip_norm": 0.0}, "teacher_forcing": {}}


ELSEWHERE = {"epochs", "patience", "time_budget", "stop_after", "kept"}  # each has a test of its own below


def test_every_fit_setting_is_tested():
    assert {field.name for field in fields(FitSettings)} == {*OTHER, *ELSEWHERE}


@pytest.mark.parametrize("name", OTHER)
def test_each_fit_setting_changes_the_fit(name, unbroken):
    if name in WITH:
        settings = network_settings(head="encoder-decoder" if name == "teacher_forcing" else "direct")
        base = fitted(network=Network(settings, seed=1), epochs=4, **WITH[name])[1]
        _, done = fitted(network=Network(settings, seed=1), **{"epochs": 4, **WITH[name], name: OTHER[name]})
        assert bytes_of(done.state.weights) != bytes_of(base.state.weights)
        return
    net, done = fitted(**{"epochs": 4, name: OTHER[name]})
    assert bytes_of(done.state.weights) != bytes_of(unbroken[1].state.weights)
    assert bytes_of(net.weights) != bytes_of(Network(network_settings(), seed=1).weights)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_fits_of_other_rates_lengths_and_shares_share_compiled_steps_and_give_what_they_give_alone(schedule):
    trainers, task = Trainers(), parts_of().selection
    rate = {"schedule": schedule, "learning_rate": 3e-3}
    for share, settings in ((0.0, fit_settings(epochs=1, schedule=schedule)), (0.3, fit_settings(epochs=3, **rate))):
        net = Network(network_settings(share=share), seed=1)
        fit(net, task, settings, FitControl(Recorder(), "test"), trainers=trainers)
    assert len(trainers.idle) == 1
    assert bytes_of(net.weights) == bytes_of(fitted(task, epochs=3, alone=True, **rate)[0].weights)


def test_weights_that_are_kept_are_in_those_after_the_fit_by_their_share(unbroken):
    first = Network(network_settings(), seed=1).weights
    net, _ = fitted(epochs=4, kept=0.25)
    for before, after, mine in zip(first, unbroken[0].weights, net.weights, strict=True):
        np.testing.assert_allclose(mine, 0.25 * before + 0.75 * after, rtol=1e-6)


def worsening():
    """Settings under which validation soon gets worse."""
    return {"epochs": 8, "learning_rate": 0.3, "clip_norm": 0.0}


def test_the_best_weights_are_restored_and_patience_counts_from_them():
    states = []
    net, done = fitted(**worsening(), patience=2, checkpoint=states.append)
    losses = [row.validation_loss for row in done.history]
    best = int(np.argmin(losses))
    assert done.best_epoch == best + 1
    assert bytes_of(net.weights) == bytes_of(states[best].weights)
    assert done.stopped == "patience"
    assert len(losses) == best + 1 + 2


def test_a_fit_killed_after_its_last_epoch_is_over_when_it_is_resumed():
    states = []
    net, done = fitted(**worsening(), patience=2, checkpoint=states.append)
    other, rest = fitted(**worsening(), patience=2, network=Network(network_settings(), seed=9), start=states[-1])
    assert (rest.stopped, rest.history, rest.best_epoch) == ("patience", (), done.best_epoch)
    assert bytes_of(other.weights) == bytes_of(net.weights)


def test_patience_0_never_stops():
    _, done = fitted(**worsening(), patience=0)
    assert done.stopped == "epochs"
    assert len(done.history) == 8
    assert done.best_epoch < 8


def test_stopping_after_some_epochs_keeps_the_schedule_of_all_of_them(cosine):
    _, done = fitted(epochs=3, schedule="cosine", stop_after=2)
    assert (len(done.history), done.stopped) == (2, "epochs")
    assert bytes_of(done.state.weights) == bytes_of(cosine[1][1].weights)


def test_a_spent_time_budget_stops_after_an_epoch_and_says_so():
    _, done = fitted(epochs=50, time_budget=1e-6)
    assert (done.stopped, len(done.history)) == ("time budget", 1)


def test_an_interruption_keeps_the_best_weights():
    states = []
    net, done = fitted(epochs=4, watch=Recorder(interrupt_at=3), checkpoint=states.append)
    assert done.stopped == "interrupted"
    assert not done.state.finished
    assert len(states) == 2
    assert bytes_of(net.weights) == bytes_of(states[1].best_weights)


def test_an_interruption_before_anything_is_learnt_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        fitted(epochs=4, watch=Recorder(interrupt_at=1))


def test_the_stop_event_ends_a_fit_like_an_interruption():
    stop = Event()
    states = []

    def set_it(state):
        states.append(state)
        stop.set()

    net, done = fitted(epochs=4, checkpoint=set_it, stop=stop)
    assert (done.stopped, len(states)) == ("interrupted", 1)
    assert bytes_of(net.weights) == bytes_of(states[0].best_weights)


def test_the_training_step_is_traced_once():
    parts = parts_of()
    trainer = Trainer(Network(network_settings(), seed=1), parts.selection, fit_settings(), 40)
    rng = np.random.default_rng(0)
    for steps, batch in ((2, 8), (2, 8), (1, 5), (3, 8)):
        series, cutoff = parts.selection.sampler.epoch(steps * batch, rng)
        trainer.steps(series.reshape(steps, batch), cutoff.reshape(steps, batch))
        trainer.validate(parts.selection.validation.series, parts.selection.validation.cutoff)
    assert trainer.traces == 1


def test_clipping_bounds_the_gradient_that_the_optimizer_sees():
    """Adam's first moment after one step is (1 - β₁) times the gradient."""
    norms = {}
    for clip in (0.0, 1e-3):
        parts = parts_of()
        trainer = Trainer(Network(network_settings(), seed=1), parts.selection, fit_settings(clip_norm=clip), 40)
        series, cutoff = parts.selection.sampler.epoch(8, np.random.default_rng(0))
        trainer.steps(series[None], cutoff[None])
        momenta = [v for v in trainer.optimizer.variables if "momentum" in v.path]
        norms[clip] = np.sqrt(sum(float(((np.asarray(v) / 0.1) ** 2).sum()) for v in momenta))
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)
    assert norms[0.0] > 0.05


@pytest.mark.parametrize("error_scale", ["series", "window", "transform"])
def test_series_without_spread_teach_nothing(error_scale):
    alone = parts_of(panel_of([5.0] * 40, [7.0] * 40)).final
    net, done = fitted(alone, error_scale=error_scale)
    assert bytes_of(net.weights) == bytes_of(Network(network_settings(), seed=1).weights)
    assert [row.loss for row in done.history] == [0, 0]


def test_missing_targets_weigh_nothing():
    """Only the observed steps make the loss: replacing them by others changes it, and what is missing has no value."""
    values = waves(2, 40)
    for row in values:
        row[10:16] = NAN
    net, done = fitted(parts_of(panel_of(*values)).selection)
    assert all(np.isfinite(row.loss) and np.isfinite(row.validation_loss) for row in done.history)
    assert all(np.isfinite(w).all() for w in net.weights)


def test_a_series_with_nothing_observed_does_not_hinder_the_others():
    values = [*waves(2, 40), np.full(40, NAN)]
    net, done = fitted(parts_of(panel_of(*values)).selection)
    assert all(np.isfinite(w).all() for w in net.weights)
    assert done.history[-1].loss > 0


def test_validation_is_the_loss_worked_in_numpy():
    parts, quantiles = parts_of(), (0.1, 0.9)
    net, done = fitted(network=Network(network_settings(quantiles=quantiles), seed=1), epochs=1)
    windows = parts.selection.validation
    values = windows.gather(8, 3)
    context, truth = values[:, :8], values[:, 8:]
    z, center, scale = (np.asarray(part) for part in net.horizon_model()([context]))
    errors = truth[:, :, None] - (z * scale[:, :, None] + center[:, :, None])
    errors = errors / parts.selection.scale[windows.series][:, None, None]
    quantile_forecasts = [
        np.maximum(q * errors[:, :, 1 + i], (q - 1) * errors[:, :, 1 + i]) for i, q in enumerate(quantiles)
    ]
    expected = np.abs(errors[:, :, 0]) + np.mean(quantile_forecasts, axis=0)
    assert done.history[0].validation_loss == pytest.approx(expected.mean(), rel=1e-4)


def test_a_network_with_a_seasonal_profile_is_fitted_and_validated_without_it():
    season = np.tile([0.0, 9.0, -3.0, 5.0, 1.0, -6.0], 10)
    panel = panel_of(*(values + 20.0 * season + 200.0 * n for n, values in enumerate(waves(3, 60))))
    learn = Profile(6, seasons=3)
    plain, settings = network_settings(cell="gru"), network_settings(cell="gru", profile=learn)
    task = parts_of(panel).selection
    net, done = fitted(task, network=Network(settings, seed=1), epochs=1, error_scale="series")
    windows = task.validation
    values = windows.gather(18, 3)
    season = season_of(values[:, :18], learn)
    less = season.taken_out(values, 8, 3)
    same = Network(plain, seed=1)
    same.weights = net.weights
    forecast = season.put_back(np.asarray(same.forecast([less[:, :8]])))[:, :, 0]
    misses = np.abs(values[:, 18:] - forecast)
    errors = np.abs(less[:, 8:] - np.asarray(same.forecast([less[:, :8]]))[:, :, 0])
    expected = (errors / task.scale[windows.series][:, None]).mean()
    assert done.history[0].validation_loss == pytest.approx(expected, rel=1e-4)
    assert not task.relative
    assert done.error == pytest.approx((misses / task.scale[windows.series][:, None]).mean(), rel=1e-4)
    np.testing.assert_allclose(
        np.asarray(net.forecast(net.own({"context": values[:, :18]})))[:, :, 0], forecast, rtol=1e-5
    )
    assert (season.factor != 1.0).any() and (season.summand != 0.0).any()
    assert done.history[0].loss < 0.5 * fitted(task, network=same, epochs=1, error_scale="series")[1].history[0].loss


def test_validation_weighs_observed_steps_alike_in_batches_of_any_kind(monkeypatch):
    values = [*waves(2, 40), np.full(40, 3.0)]
    task = parts_of(panel_of(*values)).selection
    found = []
    for size in (1, 1024):
        monkeypatch.setattr("forecaster.training.fit.VALIDATION_BATCH", size)
        _, done = fitted(task, epochs=1, error_scale="window")
        found.append(done.history[0].validation_loss)
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_rows_after_the_cutoff_change_no_weight():
    parts = parts_of(windows=2)
    changed = PANEL.target.copy()
    for n in range(3):
        changed[PANEL.offsets[n + 1] - 2 * 3 : PANEL.offsets[n + 1]] = (NAN, -1e9, 1e9, 0, NAN, 7)
    again = parts_of(replace(PANEL, target=changed), windows=2)
    (a, first), (b, second) = fitted(parts.selection), fitted(again.selection)
    assert bytes_of(a.weights) == bytes_of(b.weights)
    assert [row.validation_loss for row in first.history] == [row.validation_loss for row in second.history]


def test_progress_tells_the_epochs_losses_and_time_left():
    watch = Recorder()
    _, done = fitted(epochs=2, watch=watch)
    assert [(p.stage, p.epoch, p.epochs) for p in watch.reports] == [("test", 1, 2), ("test", 2, 2)]
    assert [p.loss for p in watch.reports] == [row.loss for row in done.history]
    assert watch.reports[0].seconds_left > 0
    assert watch.reports[-1].seconds_left == 0


def test_a_state_comes_back_as_it_was(unbroken, tmp_path):
    state = unbroken[2][1]
    write_state(tmp_path / "state.npz", state)
    found = read_state(tmp_path / "state.npz")
    assert (found.epoch, found.finished, found.best_epoch, found.best_loss) == (
        state.epoch, state.finished, state.best_epoch, state.best_loss
    )  # fmt: skip
    for kind in ("weights", "best_weights", "optimizer"):
        assert bytes_of(getattr(found, kind)) == bytes_of(getattr(state, kind))


def test_a_state_is_read_without_running_anything(tmp_path):
    path = tmp_path / "state.npz"
    np.savez(path, facts=np.array([print], dtype=object))  # a pickle inside
    with pytest.raises(ArtifactError, match="no state to start from"):
        read_state(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"nonsense"])
def test_a_damaged_state_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "state.npz"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="no state to start from") as error:
        read_state(path)
    assert "\n" not in error.value.message
