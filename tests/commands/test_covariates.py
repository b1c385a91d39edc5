"""Covariates from the command line: trained, tested and predicted with; what is missing is named."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.commands.train import read, train
from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.errors import DataError, UsageError
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from forecaster.training.auto_plan import draft_plan
from forecaster.training.member_networks import pretrained_settings, with_inputs
from tests.support.factories import Recorder, train_settings

pytestmark = pytest.mark.slow

ROWS, HORIZON = 60, 6
KNOWN, PAST, STATIC = ("price", "sky"), ("left",), ("kind",)


def shops(count=2):
    """Long rows, and a future of three horizons without targets."""
    rng = np.random.default_rng(0)
    parts = []
    for n in range(count):
        rows = ROWS + 3 * HORIZON
        price = rng.normal(5, 1, rows).round(2)
        part = pd.DataFrame({"shop": f"s{n}", "day": pd.date_range("2024-01-01", periods=rows)})
        part["sold"] = np.where(np.arange(rows) < ROWS, 40 - 3 * price + rng.normal(size=rows), np.nan)
        part["price"], part["sky"] = price, rng.choice(["sun", "rain"], rows)
        part["left"], part["kind"] = rng.integers(0, 9, rows), f"kind {n}"
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory, request):
    """A folder with a model of `shops.csv`, which has the future in it."""
    request.getfixturevalue("cpu")
    folder = tmp_path_factory.mktemp("shop")
    shops().to_csv(folder / "shops.csv", index=False)
    settings = train_settings(
        folder / "models", known=KNOWN, past=PAST, static=STATIC, target="sold", transform="none", epochs=4,
        steps_per_epoch=10, learning_rate=0.01,
    )  # fmt: skip
    return folder, train(folder / "shops.csv", settings, Recorder())


@pytest.mark.parametrize("preset", ["fast", "default"])
def test_a_pretrained_network_may_be_a_member_beside_those_that_read_covariates(preset):
    settings = TrainSettings(target="sold", known=KNOWN, past=PAST, static=STATIC, horizon=HORIZON, preset=preset)
    draft = draft_plan(read(shops(), settings, Recorder()), settings)
    base = pretrained_settings(draft.plan)
    assert draft.questions.pretrained and base.season_length == 7 and not base.covariates
    assert with_inputs(base, draft.plan).covariates == draft.plan.members[0].covariates != ()
    assert draft.questions.own_members == len(draft.plan.members)  # the network as it is reads no covariates


@pytest.mark.parametrize("named", ["holidays", "events"])
def test_so_it_may_beside_those_that_read_holidays_or_events(named, tmp_path):
    if named == "holidays":
        pytest.importorskip("holidays")
    (tmp_path / "events.csv").write_text("date,event\n2024-02-10,sale\n2024-03-01,sale\n")
    given = {"holidays": "US"} if named == "holidays" else {"events": str(tmp_path / "events.csv")}
    settings = TrainSettings(target="sold", horizon=HORIZON, **given)
    draft = draft_plan(read(shops()[["shop", "day", "sold"]].dropna(), settings, Recorder()), settings)
    plan, base = draft.plan, pretrained_settings(draft.plan)
    copy = with_inputs(base, plan)
    assert draft.questions.pretrained and plan.informed and not base.known
    assert (copy.known, copy.lags) == (plan.members[0].known, plan.members[0].lags) and copy.known
    assert draft.questions.own_members == len(plan.members)
    assert not any(draft.questions.trees)


def forecast(shop, data=None, **changes):
    settings = PredictSettings(models=str(shop[0] / "models"), **changes)
    return predict(data, settings, Recorder())


def test_the_manifest_holds_what_was_fitted(shop):
    manifest = read_manifest(Path(shop[1].path))
    assert [(one.name, one.role) for one in manifest.covariates] == [
        ("price", "known"), ("sky", "known"), ("left", "past"), ("kind", "static"),
    ]  # fmt: skip
    assert manifest.covariates[1].levels == ("rain", "sun")
    rows = shops()
    fitted = np.concatenate([rows["price"][:48], rows["price"][78 : 78 + 48]])  # without the test windows
    assert manifest.covariates[0].mean == pytest.approx(fitted.mean())


def test_the_forecast_begins_after_the_last_target_and_both_runtimes_agree(shop):
    found = forecast(shop)
    first = found.to_frame()["timestamp"].iloc[0]
    assert str(first)[:10] == str(np.datetime64("2024-01-01") + ROWS)
    other = forecast(shop, runtime="tensorflow")
    np.testing.assert_allclose(found.prediction, other.prediction, rtol=1e-4)


def test_known_values_ahead_move_the_forecast_and_past_ones_do_not(shop):
    frame, before = shops(), forecast(shop).prediction
    later = frame["sold"].isna()
    frame.loc[later, "left"] = 1e6
    np.testing.assert_array_equal(forecast(shop, frame).prediction, before)
    frame.loc[later, "price"] += 3.0
    assert not np.allclose(forecast(shop, frame).prediction, before)


def test_a_longer_horizon_reads_further_known_rows(shop):
    found = forecast(shop, horizon=2 * HORIZON + 1).prediction
    assert found.shape == (2, 2 * HORIZON + 1)
    np.testing.assert_allclose(found[:, :HORIZON], forecast(shop).prediction)


def test_the_future_may_come_from_a_file(shop, tmp_path):
    frame = shops()
    history, future = frame[frame["sold"].notna()], frame[frame["sold"].isna()]
    future.drop(columns=["sold", "left", "kind"]).to_csv(tmp_path / "future.csv", index=False)
    found = forecast(shop, history, future=str(tmp_path / "future.csv"))
    np.testing.assert_array_equal(found.prediction, forecast(shop).prediction)


def test_missing_future_values_are_named_by_series_and_timestamp(shop):
    frame = shops()
    frame = frame.drop(frame[(frame["shop"] == "s1") & (frame["day"] >= "2024-03-02")].index)
    with pytest.raises(
        DataError, match="price of series 's1' at 2024-03-02, price of series 's1' at 2024-03-03"
    ) as error:
        forecast(shop, frame)
    assert error.value.code == 3 and "\n" not in str(error.value) and "--future" in str(error.value)
    found = forecast(shop, frame, fallback=True)
    assert found.source.tolist() == ["model", "seasonal-naive"]


def test_categories_not_met_and_missing_values_have_a_forecast(shop):
    frame = shops()
    frame.loc[frame["day"] >= "2024-02-20", "sky"] = "hail"
    frame.loc[frame["day"] < "2024-02-20", "price"] = np.nan
    frame["kind"] = None
    found = forecast(shop, frame)
    assert np.isfinite(found.prediction).all() and not np.allclose(found.prediction, forecast(shop).prediction)


def test_known_values_that_no_training_row_was_like_are_warned_of(shop):
    frame, watch = shops(), Recorder()
    settings = PredictSettings(models=str(shop[0] / "models"))
    predict(frame, settings, watch)
    assert watch.warnings == []
    at = frame.index[frame["sold"].isna()][[1, 2]]
    frame.loc[at[0], "price"], frame.loc[at[1], "sky"] = -999.0, "hail"  # a mark for missing, a new text
    predict(frame, settings, watch)
    assert watch.warnings == [
        "known values are unlike any of the training, so what follows from them was not learnt: "
        "price of series 's0' at 2024-03-02 is -999, sky of series 's0' at 2024-03-03 is 'hail'"
    ]
    watch.warnings.clear()
    predict(frame, settings.__class__(models=settings.models, horizon=1), watch)  # which does not reach these rows
    assert watch.warnings == []


def test_text_in_a_column_that_was_numeric_is_refused(shop):
    frame = shops()
    frame["price"] = frame["price"].astype(object)
    frame.loc[3, "price"] = "cheap"
    with pytest.raises(DataError, match=r"data frame row 3: known 'cheap' \(column price\) is not a number\."):
        forecast(shop, frame)


def test_a_column_that_is_gone_is_named(shop):
    with pytest.raises(DataError, match=r"there is no column 'price' \(--known\)"):
        forecast(shop, shops().drop(columns=["price"]))


def test_evaluation_reads_known_columns_and_no_later_past_ones(shop):
    settings = EvaluateSettings(models=str(shop[0] / "models"))
    before = evaluate(None, settings, Recorder())
    assert before.metrics.mae == pytest.approx(shop[1].report.metrics.mae)
    frame = shops()
    frame.loc[frame["day"] >= "2024-02-24", "left"] = 77.0  # from the last window's cutoff on
    assert evaluate(frame, settings, Recorder()).metrics == before.metrics
    frame.loc[frame["day"] >= "2024-02-24", "price"] += 4.0
    assert evaluate(frame, settings, Recorder()).metrics != before.metrics


def test_refit_fits_encodings_anew(shop, monkeypatch):
    import forecaster.training.refit_backtest

    seen = []
    real = forecaster.training.refit_backtest.fit_encodings
    monkeypatch.setattr(
        forecaster.training.refit_backtest, "fit_encodings", lambda panel, ends: seen.append(ends) or real(panel, ends)
    )
    settings = EvaluateSettings(models=str(shop[0] / "models"), refit=True, windows=1)
    assert np.isfinite(evaluate(None, settings, Recorder()).metrics.mae)
    assert [ends.tolist() for ends in seen] == [[ROWS - HORIZON, 2 * ROWS - HORIZON]]


@pytest.mark.usefixtures("cpu")
def test_each_role_changes_what_is_learnt(tmp_path):
    plain = {"target": "sold", "series": "shop", "transform": "none", "steps_per_epoch": 10, "final_fit": False}
    losses = set()
    for i, roles in enumerate([{}, {"known": ("price",)}, {"past": ("left",)}, {"static": ("kind",)}]):
        data = shops()[lambda rows: rows["sold"].notna()]
        losses.add(train(data, train_settings(tmp_path, name=f"m{i}", **plain, **roles), Recorder()).report.metrics.mae)
    assert len(losses) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "recursive"}, "--known has no effect on --head recursive."),
        ({"known": ("sold",)}, "column 'sold' is given twice."),
    ],
)
def test_wrong_uses_are_refused(tmp_path, changes, message):
    given = {"target": "sold", "known": ("price",), "name": "x", **changes}
    with pytest.raises(UsageError, match=message):
        train(shops(), train_settings(tmp_path, **given), Recorder())


def test_a_future_without_known_columns_is_refused(trained):
    with pytest.raises(UsageError, match="--future has no effect"):
        predict(None, PredictSettings(models=str(trained[0]), future="x.csv"), Recorder())


def test_resuming_needs_the_same_columns(shop, tmp_path):
    import shutil

    models = shutil.copytree(shop[0] / "models", tmp_path / "models")
    settings = train_settings(models, known=("price",), target="sold", resume=True, name="shops", transform=None)
    with pytest.raises(UsageError, match="--resume continues a network that reads known price, known sky"):
        train(shop[0] / "shops.csv", settings, Recorder())


@pytest.fixture(scope="module")
def screened(tmp_path_factory, request):
    """Hourly rows with a price, noise, and a day of both ahead; and what training on them makes of it."""
    request.getfixturevalue("cpu")
    rng = np.random.default_rng(0)
    rows = 16_000
    frame = pd.DataFrame({"hour": pd.date_range("2024-01-01", periods=rows, freq="h")})
    frame["price"], frame["noise"] = rng.normal(5, 1, rows).round(2), rng.normal(size=rows).round(2)
    frame["sold"] = 40 - 3 * frame.price + 5 * np.sin(np.arange(rows) * np.pi / 12) + rng.normal(size=rows)
    frame.loc[rows - 24 :, "sold"] = np.nan
    settings = train_settings(
        tmp_path_factory.mktemp("screened"), name="hours", target="sold", known=("price", "noise"), horizon=24, context_length=24,
    )  # fmt: skip
    return frame, settings, train(frame, settings, Recorder())


def reads(report):
    return [one.name for one in read_manifest(Path(report.path)).covariates]


def planned(frame, settings):
    return [one.name for one in draft_plan(read(frame, settings, Recorder()), settings).plan.needs.covariates]


def test_a_known_column_that_tells_nothing_is_left_out_and_said(screened):
    frame, settings, report = screened
    assert reads(report) == ["price"]
    rows = {row.setting: row for row in report.plan}
    assert rows["known"].value == "price" and rows["left_out"].value == "noise"
    assert "--no-screen" in rows["left_out"].reason
    forecast = predict(frame.drop(columns="noise"), PredictSettings(models=settings.models), Recorder())
    assert pd.Timestamp(forecast.to_frame()["timestamp"].iloc[0]) == frame.hour.iloc[-24]


def test_no_screen_keeps_every_column(screened):
    frame, settings, _ = screened
    assert planned(frame, settings) == ["price"]
    assert planned(frame, replace(settings, screen=False)) == ["price", "noise"]


def test_one_known_column_stays_to_tell_the_future_from_missing_targets(screened):
    frame, settings, _ = screened
    assert planned(frame, replace(settings, known=("noise",))) == ["noise"]


def test_resuming_goes_on_with_the_columns_that_were_kept(screened, tmp_path):
    import shutil

    frame, settings, _ = screened
    models = shutil.copytree(settings.models, tmp_path / "models")
    resumed = train(frame, replace(settings, models=str(models), resume=True, transform=None), Recorder())
    assert reads(resumed) == ["price"]


def test_the_test_windows_do_not_decide_which_columns_are_left_out(screened):
    frame, settings, report = screened
    end = len(frame) - 24 - 24 * read_manifest(Path(report.path)).test_windows
    other = frame.copy()
    other.loc[end:, "noise"] = other.sold[end:].fillna(0.0)
    assert planned(other, settings) == ["price"]


def test_flags_may_be_repeated_or_listed(monkeypatch, tmp_path, capsys):
    from tests.support.stub_commands import MODULES, install

    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, sys)  # undone after the test
    install("")
    from forecaster.cli.main import run

    assert run(["train", "x.csv", "--known", "a,b", "--past=c", "--known", '"d, e"', "--json"]) == 0
    settings = sys.modules["forecaster.commands.train"].seen["settings"]
    assert (settings.known, settings.past, settings.static) == (("a", "b", "d, e"), ("c",), ())
    monkeypatch.setenv("FORECASTER_STATIC", "f")
    (tmp_path / "own.toml").write_text('known = ["a", "g,h"]\n')
    assert run(["train", "x.csv", "--config", str(tmp_path / "own.toml")]) == 0
    settings = sys.modules["forecaster.commands.train"].seen["settings"]
    assert (settings.known, settings.static) == (("a", "g,h"), ("f",))
    capsys.readouterr()


def test_prediction_with_covariates_imports_no_tensorflow(shop):
    import subprocess

    program = (
        "import sys; from forecaster.cli.main import run; code = run(sys.argv[1:]); "
        "print(code, {'tensorflow', 'keras', 'sklearn'} & set(sys.modules), file=sys.stderr)"
    )
    words = ["predict", str(shop[0] / "shops.csv"), "--models", str(shop[0] / "models"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.stderr.splitlines() == ["0 set()"] and len(done.stdout.splitlines()) == 2 * HORIZON + 1


def test_numeric_covariates_are_read_without_pandas(tmp_path):
    import subprocess

    frame = shops().sort_values(["shop", "day"]).drop(columns=["sky", "kind"])
    frame.to_csv(tmp_path / "plain.csv", index=False)
    program = (
        "import sys; from forecaster.data.reading.reader import read_panel; from forecaster.data.panel import Columns; "
        "p = read_panel(sys.argv[1], Columns('shop', 'day', 'sold', ('price',), ('left',))); "
        "print('pandas' in sys.modules, len(p.target), p.covariates[0].ahead.shape)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "plain.csv")], capture_output=True, text=True)
    assert done.stdout.strip() == f"False {2 * ROWS} (2, {3 * HORIZON})", done.stderr
