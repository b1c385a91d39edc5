"""What the target can be, and targets of an awkward kind: limits, mostly zeros, never changing, hardly there."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.config import PredictSettings
from forecaster.errors import DataError, UsageError
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from forecaster.training.auto_plan import draft_plan
from forecaster.training.plan import TargetScaling
from tests.support.factories import NAN, Recorder, frame_of, panel_of, train_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


def fitted(models, frame, **changes):
    from forecaster.commands.train import train

    watch = Recorder()
    return train(frame, train_settings(models, name="m", **changes), watch), watch


def predicted(models, frame, **changes):
    return predict(frame, PredictSettings(models=str(models), model="m", **changes), Recorder())


def counts(seed, rate, length=90):
    """Demand that comes now and then."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(length) < rate, rng.integers(1, 9, length), 0).astype(float)


def test_point_and_quantiles_keep_the_limits_on_both_runtimes_and_the_log_counts_from_the_smallest(tmp_path):
    rng = np.random.default_rng(0)
    frame = frame_of(
        a=np.clip(np.round(rng.normal(-3, 2, 60)), -5, 1), b=np.clip(np.round(rng.normal(0, 2, 60)), -5, 1)
    )
    fitted(tmp_path, frame, min=-5.0, max=1.0, integer=True, transform="log")
    manifest = read_manifest(tmp_path / "m" / "1")
    assert manifest.members[0].origin == -5 and manifest.limits.high == 1
    for runtime in ("onnx", "tensorflow"):
        found = predicted(tmp_path, frame, runtime=runtime, quantiles=(0.005, 0.5, 0.995), horizon=9)
        for values in (found.prediction, found.quantile_forecasts):
            assert values.min() >= -5 and values.max() <= 1 and (values == np.rint(values)).all()
        assert (found.quantile_forecasts[:, :, 0] < found.quantile_forecasts[:, :, 2]).any()


def test_counts_are_learnt_as_such_and_everything_that_goes_with_a_model_goes_with_a_distribution(tmp_path):
    frame = frame_of(**{name: counts(n, 0.5) for n, name in enumerate("abc")})
    given = {"distribution": "negative-binomial", "transform": None, "integer": True, "head": "recursive"}
    fitted(tmp_path, frame, **given)
    manifest = read_manifest(tmp_path / "m" / "1")
    assert manifest.members[0].distribution == "negative-binomial" and manifest.fit.loss == "likelihood"
    assert {row.setting: row.value for row in manifest.plan}["distribution"] == "negative-binomial"
    assert manifest.limits.low == 0
    found = [predicted(tmp_path, frame, runtime=runtime, samples=3, horizon=6) for runtime in ("onnx", "tensorflow")]
    raw = predicted(tmp_path, frame, calibrate=False, horizon=9)
    assert found[0].prediction.min() >= 0  # a mean of counts, which need not be whole
    for values in (found[0].quantile_forecasts, found[0].samples, raw.quantile_forecasts):
        assert values.min() >= 0 and (values == np.rint(values)).all()
    np.testing.assert_array_equal(found[0].quantile_forecasts, found[1].quantile_forecasts)
    assert (raw.quantile_forecasts[:, :, 0] < raw.quantile_forecasts[:, :, 1]).any()
    with pytest.raises(UsageError, match="--distribution normal: --resume continues a network that has negative"):
        fitted(tmp_path, frame, **{**given, "distribution": "normal"}, resume=True)
    fitted(tmp_path, frame, **given, resume=True)
    with pytest.raises(DataError, match=r"series 'd': the target 0.5 at .* is not a count"):
        fitted(tmp_path, frame_of(d=[0.5] * 40), **given)


@pytest.mark.long
def test_a_distribution_goes_through_trials_members_and_the_blend_and_needs_no_quantiles(tmp_path):
    rng = np.random.default_rng(0)
    frame = frame_of(a=50 + rng.normal(size=80), b=90 + 3 * rng.standard_t(3, 80))
    decided = {"transform": None, "floor": None, "members": 2, "epochs": 1, "final_fit": False}
    report, _ = fitted(tmp_path, frame, distribution="student-t", quantiles=(), **decided)
    reasons = {row.setting: row.reason for row in report.plan}
    assert all("validation" in reasons[asked] for asked in ("transform", "floor"))
    assert np.isfinite(predicted(tmp_path, frame).prediction).all()


def test_mostly_zeros_are_planned_with_squared_errors_which_is_said_and_may_be_refused(tmp_path):
    sparse, dense = panel_of(counts(0, 0.3)), panel_of(counts(0, 0.9))
    settings = train_settings(tmp_path, transform=None)
    draft = draft_plan(sparse, settings)
    plan = draft.plan
    assert plan.fit.loss == "mse" and draft.questions.scalings == (TargetScaling("none", "series"),)
    assert "of the values are 0" in next(row.reason for row in plan.rows if row.setting == "loss")
    assert draft_plan(dense, settings).plan.fit.loss == "mae"
    assert draft_plan(sparse, train_settings(tmp_path, loss="mae")).plan.fit.loss == "mae"


def test_mostly_zeros_are_forecast_with_totals_that_are_right_where_absolute_errors_forecast_none(tmp_path):
    rates = dict(zip("abcdefghijklmnop", np.linspace(0.15, 0.45, 16), strict=True))
    whole = {name: counts(i, rate, 156) for i, (name, rate) in enumerate(rates.items())}
    frame = frame_of(**{name: values[:150] for name, values in whole.items()})
    truth = np.stack([values[:150].mean() for values in whole.values()])
    mean, error = {}, {}
    for loss in (None, "mae"):
        models = tmp_path / str(loss)
        schedule = {"epochs": 4, "steps_per_epoch": 40, "learning_rate": 5e-3, "context_length": 42}
        fitted(models, frame, loss=loss, transform=None, min=0.0, quantiles=(), windows=1, **schedule)
        found = predicted(models, frame).prediction
        mean[loss] = found.mean()
        error[loss] = np.sqrt(((found - truth[:, None]) ** 2).mean())  # against the mean that is to be expected
        assert (found >= 0).all()
    assert mean[None] == pytest.approx(truth.mean(), rel=0.3)
    assert mean["mae"] < 0.5 * truth.mean()
    assert error[None] < 0.7 * error["mae"]


def test_series_that_never_change_or_are_hardly_there_have_a_defined_forecast_and_a_note(tmp_path):
    noise = np.random.default_rng(0).normal(size=40)
    frame = frame_of(flat=[7.0] * 40, once=[3.0], gone=[NAN] * 40, real=50 + noise)
    _, watch = fitted(tmp_path, frame)
    said = " ".join(watch.notes)
    assert "1 series never changes (flat)" in said
    assert "1 series has one value only (once)" in said
    assert "1 series has no value at all (gone)" in said
    found = predicted(tmp_path, frame)
    assert found.about.failed == ("gone",)
    by_name = dict(zip(found.series.tolist(), found.prediction, strict=True))
    np.testing.assert_allclose(by_name["flat"], 7.0, rtol=1e-6)
    np.testing.assert_allclose(by_name["once"], 3.0, rtol=1e-6)
