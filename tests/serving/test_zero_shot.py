"""A forecast before any training: which network answers, for which series, with which quantiles."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.cli.main import run
from forecaster.commands.evaluate import evaluate
from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.config.resolve import ConfigFile, resolve
from forecaster.data.windows import latest_windows
from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.predict import predict
from forecaster.serving.pretrained import find_network
from forecaster.serving.raw_forecasts import widened_beyond_horizon
from forecaster.serving.zero_shot import ZeroShot, between_levels, open_pretrained
from tests.support.factories import Recorder, panel_of
from tests.support.pretrained import LEVELS, ship
from tests.support.stored_models import stored, wave, write_csv


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Networks for no season and for 24 steps, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return ship(monkeypatch, tmp_path / "shipped", 1, 24)


def answered(data="data.csv", **options):
    watch = Recorder()
    return predict(str(data), PredictSettings(**options), watch), watch


def test_before_any_training_a_pretrained_network_answers_and_says_so(tmp_path):
    write_csv(tmp_path / "data.csv", 100)
    found, watch = answered(horizon=6)
    assert set(found.source) == {"pretrained"} and found.fallbacks == 0
    assert set(found.method) == {"pretrained gru"} and found.metadata()["method"] == "pretrained gru"
    assert found.quantiles == (0.1, 0.5, 0.9) and found.prediction.shape == (2, 6)
    assert found.metadata()["model"] == "pretrained" and found.metadata()["version"] is None
    assert any("no model is stored in 'models'" in note for note in watch.notes)
    assert any("season length 24" in note for note in watch.notes)
    assert answered()[0].prediction.shape == (2, 24)  # one season where no horizon is given


def test_a_stored_model_comes_first_unless_the_pretrained_network_is_asked_for(tmp_path):
    write_csv(tmp_path / "data.csv", 100)
    stored(tmp_path / "models")
    assert set(answered(horizon=6)[0].source) == {"model"}
    assert set(answered(horizon=6, model="pretrained")[0].source) == {"pretrained"}
    stored(tmp_path / "models", name="pretrained")  # as an older release allowed
    assert set(answered(horizon=6, model="pretrained")[0].source) == {"model"}


@pytest.mark.parametrize("options", [{"models": "elsewhere"}, {"model": "gone"}, {"model": "pretrained@1"}])
def test_a_model_or_a_store_that_is_named_and_not_there_is_an_error(tmp_path, options):
    write_csv(tmp_path / "data.csv", 100)
    with pytest.raises(ArtifactError):
        answered(**options)


def test_without_data_there_is_nothing_to_forecast():
    with pytest.raises(ArtifactError, match="no model is stored"):
        predict(None, PredictSettings(), Recorder())


def test_columns_that_are_not_read_are_named(tmp_path):
    path = write_csv(tmp_path / "data.csv", 60, ("a",))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",price,sky"] + [f"{line},{i},wet" for i, line in enumerate(lines[1:])]))
    _, watch = answered(horizon=6, target="target")
    assert any("not used" in note and "price" in note and "sky" in note for note in watch.notes)


def test_short_series_are_forecast_without_a_season_and_the_shortest_by_seasonal_naive_with_a_word(tmp_path):
    def value(n, t):
        return None if t < (0, 90, 97)[n] else 50.0 + n + t % 24

    write_csv(tmp_path / "data.csv", 100, ("long", "short", "tiny"), value=value)
    found, watch = answered(horizon=6)
    assert list(found.source) == ["pretrained", "pretrained", "seasonal-naive"] and found.fallbacks == 1
    assert "2 of 3 series (short, tiny) have fewer than 25 observed values" in watch.warnings[0]
    assert "seasonal naive for 1 of 3 series (tiny): 1 with too few rows" in watch.warnings[1]
    assert np.isfinite(found.prediction).all() and np.isfinite(found.quantile_forecasts).all()
    assert list(answered(horizon=6, fallback=True)[0].source) == ["pretrained", "seasonal-naive", "seasonal-naive"]


def test_gaps_are_forecast_over(tmp_path):
    write_csv(tmp_path / "data.csv", 100, value=lambda n, t: None if t % 3 else 5.0 + n)
    assert np.isfinite(answered(horizon=6)[0].prediction).all()


def test_rows_without_a_target_at_the_end_are_forecast_over_as_steps_of_a_longer_horizon(tmp_path):
    whole = panel_of([wave(0, t) for t in range(200)], [wave(1, t) for t in range(200)], season_length=24)
    late = replace(whole, target=np.where(np.arange(400) % 200 >= np.repeat([195, 200], 200), np.nan, whole.target))
    made = ZeroShot(open_pretrained(24), late, late.offsets[1:], 6)
    longer = ZeroShot(open_pretrained(24), late, late.offsets[1:], 11)
    earlier = replace(latest_windows(late), cutoff=late.offsets[1:] - [5, 0])
    found, expected = made.forecast(latest_windows(late), (0.1, 0.9)), longer.forecast(earlier, (0.1, 0.9))
    np.testing.assert_allclose(found[0], expected[0, 5:])
    own = ZeroShot(open_pretrained(24), whole, whole.offsets[1:], 6).forecast(latest_windows(whole), ())
    np.testing.assert_allclose(found[1, :, 0], own[1, :, 0])
    assert np.isfinite(made.samples(latest_windows(late), 3)).all()
    ended = replace(whole, target=np.where(np.arange(400) % 200 >= np.repeat([130, 200], 200), np.nan, whole.target))
    made = ZeroShot(open_pretrained(24), ended, ended.offsets[1:], 6)  # no window of the history has 76 steps
    assert np.isfinite(made.samples(latest_windows(ended), 3)[1]).all()


def test_a_season_of_a_week_of_hours_is_forecast_by_the_network_of_the_day():
    rows = [wave(0, t) + 20.0 * (t % 168 > 120) for t in range(6 * 168)]
    found = []
    for season in (24, 168):
        panel = panel_of(rows, season_length=season)
        made = ZeroShot(open_pretrained(season), panel, panel.offsets[1:], 6, calibrated=False)
        assert made.networks[0].card.season_length == 24
        found.append(made.forecast(latest_windows(panel), ()))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("season", "network", "profile"),
    [
        (24, 24, 168),
        (168, 24, 168),
        (365, 7, 365),
        (366, 7, 366),
        (252, 5, 252),
        (96, 7, 96),
        (12, 12, None),
        (13, None, None),
    ],
)
def test_the_network_for_a_season_is_its_own_that_of_the_season_below_or_one_for_long_seasons(
    tmp_path, monkeypatch, season, network, profile
):
    ship(monkeypatch, tmp_path / "all", 1, 5, 7, 12, 24)
    card, found = find_network(season)
    assert (card and card.season_length, found and found.season_length) == (network, profile)


def test_it_is_said_where_every_series_ends_without_targets(tmp_path):
    write_csv(tmp_path / "data.csv", 100, value=lambda n, t: None if t > 97 - n else wave(n, t))
    notes = [note for note in answered(horizon=6)[1].notes if "no target" in note]
    assert notes == [
        "the latest rows of every series have no target: the forecast is of the steps after these rows "
        "(of the rows themselves with --until 2024-01-05T01:00:00)"
    ]
    stored(tmp_path / "models")
    assert any("no target" in note for note in answered(horizon=6)[1].notes)
    write_csv(tmp_path / "data.csv", 100, value=lambda n, t: None if n and t > 97 else wave(n, t))
    assert not any("no target" in note for note in answered(horizon=6)[1].notes)


def test_a_season_without_a_network_is_taken_out_and_put_back():
    ramp = np.arange(84) // 7 * 3.0
    series = 100 + ramp + np.tile([0, 5, -5, 10, 0, -10, 0.0], 12)
    panel = panel_of(series, season_length=7)
    made = ZeroShot(open_pretrained(7), panel, panel.offsets[1:], 7, calibrated=False)
    point = made.forecast(latest_windows(panel), ())[0, :, 0]
    level = point.mean()
    np.testing.assert_allclose(point - level, [0, 5, -5, 10, 0, -10, 0], atol=1.5)


def test_a_year_above_the_week_is_taken_out_and_put_back(tmp_path, monkeypatch):
    ship(monkeypatch, tmp_path / "daily", 7)
    rng, days = np.random.default_rng(0), np.arange(5 * 365)

    def ahead(seasons):
        year = 20.0 * np.cos(2.0 * np.pi * days / 365.0)
        panel = panel_of((100.0 + year + days % 7 + rng.normal(size=len(days)))[-seasons * 365 :], season_length=7)
        made = ZeroShot(open_pretrained(7), panel, panel.offsets[1:], 90, calibrated=False)
        return made.forecast(latest_windows(panel), ())[0, :, 0]

    expected = 100.0 + 20.0 * np.cos(2.0 * np.pi * np.arange(90) / 365.0) + 3.0
    weeks = np.convolve(np.ones(7) / 7.0, ahead(5) - expected, "valid")
    assert np.abs(weeks).max() < 3.0
    assert np.abs(ahead(1) - expected).max() > 10.0  # one year shows no season of a year


def test_noise_without_a_season_is_left_as_it_is():
    rng = np.random.default_rng(0)
    panel = panel_of(*(100 + rng.normal(size=70) for _ in range(50)), season_length=7)
    made = ZeroShot(open_pretrained(7), panel, panel.offsets[1:], 7, calibrated=False)
    assert np.abs(np.ptp(made.forecast(latest_windows(panel), ())[:, :, 0], axis=1)).mean() < 0.7


def test_without_any_suitable_network_it_says_what_is_missing(tmp_path, monkeypatch):
    write_csv(tmp_path / "data.csv", 100)
    ship(monkeypatch, tmp_path / "other", 12)
    with pytest.raises(ArtifactError, match="no pretrained network for a season of 24"):
        answered(horizon=6)
    ship(monkeypatch, tmp_path / "none")
    with pytest.raises(ArtifactError, match="no model is stored"):
        answered(horizon=6)


@pytest.mark.parametrize("part", ["model.onnx", "card.json"])
def test_a_damaged_network_is_an_error(tmp_path, shipped, part):
    write_csv(tmp_path / "data.csv", 100)
    path = shipped / "24" / part
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ArtifactError):
        answered(horizon=6)


def test_series_that_never_were_negative_stay_so_and_others_need_not(tmp_path):
    write_csv(tmp_path / "data.csv", 60, value=lambda n, t: 0.1 * (t % 24) - n)
    found, _ = answered(horizon=6, calibrate=False)
    assert found.quantile_forecasts[0].min() == 0.0 and found.quantile_forecasts[1].min() < -1.0


@pytest.mark.parametrize("rows", [3, 5, 20])
def test_series_of_a_few_rows_that_never_were_negative_stay_so_in_every_quantile(tmp_path, rows):
    write_csv(tmp_path / "data.csv", rows, value=lambda n, t: float(t % 3 == 0) - n)
    found, _ = answered(horizon=30, quantiles=(0.025, 0.1, 0.9, 0.975))
    assert found.quantile_forecasts[0].min() == 0.0 and found.quantile_forecasts[1].min() < -1.0


def test_a_longer_horizon_is_decoded_further_and_intervals_widen(tmp_path):
    write_csv(tmp_path / "data.csv", 100)
    found, _ = answered(horizon=60, calibrate=False)
    width = found.quantile_forecasts[:, :, 2] - found.quantile_forecasts[:, :, 0]
    assert (np.diff(width, axis=1) > -1e-9).all()
    short = answered(horizon=6, calibrate=False)[0]
    np.testing.assert_array_equal(short.prediction, found.prediction[:, :6])


def test_calibrated_intervals_have_the_width_of_past_errors(tmp_path):
    rng = np.random.default_rng(0)
    noise = {(n, t): rng.normal() for n in range(20) for t in range(200)}
    names = [str(n) for n in range(20)]
    write_csv(tmp_path / "data.csv", 200, names, value=lambda n, t: 50 + 9 * ((t % 24) > 12) + noise[n, t])
    levels = (0.025, 0.1, 0.9, 0.975)
    raw, learnt = (answered(horizon=6, quantiles=levels, calibrate=one)[0] for one in (False, None))
    width = (learnt.quantile_forecasts[:, :, 2] - learnt.quantile_forecasts[:, :, 1]).mean()
    assert width == pytest.approx(2 * 1.2816 * np.sqrt(2), rel=0.15)
    own = (raw.quantile_forecasts[:, :, 2] - raw.quantile_forecasts[:, :, 1]).mean()
    assert own == pytest.approx(2 * 1.2816, rel=0.01)


def test_few_windows_calibrate_only_where_it_is_asked_for_or_the_network_lacks_the_levels(tmp_path):
    write_csv(tmp_path / "data.csv", 150)  # of two series: 36 windows that do not overlap
    own, usual, asked = (answered(horizon=6, calibrate=one)[0].quantile_forecasts for one in (False, None, True))
    np.testing.assert_array_equal(usual, own)
    assert not np.allclose(asked, own)
    beyond = answered(horizon=6, quantiles=(0.01, 0.99))[0].quantile_forecasts
    np.testing.assert_array_equal(
        beyond, answered(horizon=6, quantiles=(0.01, 0.99), calibrate=True)[0].quantile_forecasts
    )
    write_csv(tmp_path / "data.csv", 500)
    many = answered(horizon=6)[0].quantile_forecasts
    np.testing.assert_array_equal(many, answered(horizon=6, calibrate=True)[0].quantile_forecasts)


def test_only_networks_that_forecast_are_calibrated(monkeypatch):
    learn, learnt = ZeroShot._learn, []
    monkeypatch.setattr(ZeroShot, "_learn", lambda made, network: learnt.append(network) or learn(made, network))
    panel = panel_of(10 + np.sin(np.arange(200) / 3) + np.random.default_rng(0).normal(size=200))
    made = ZeroShot(open_pretrained(24), panel, panel.offsets[1:], 6)
    assert np.isfinite(made.forecast(latest_windows(panel), (0.1, 0.9))).all()
    assert learnt == [made.networks[0]] and len(made.networks) == 2


def test_a_short_history_keeps_the_networks_own_quantiles(tmp_path):
    write_csv(tmp_path / "data.csv", 40, ("a",))
    one, two = (answered(horizon=24, calibrate=calibrate)[0] for calibrate in (None, False))
    np.testing.assert_array_equal(one.quantile_forecasts, two.quantile_forecasts)
    with pytest.raises(UsageError, match="too short for a calibration"):
        answered(horizon=24, calibrate=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantiles": (0.01, 0.5), "calibrate": False}, "not within 0.025 and 0.975"),
        ({"adapt": False}, "--no-adapt has no effect"),
        ({"future": "future.csv"}, "--future has no effect"),
        ({"runtime": "tensorflow"}, "--runtime tensorflow has no effect"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, options, message):
    write_csv(tmp_path / "data.csv", 100)
    with pytest.raises(UsageError, match=message):
        answered(horizon=6, **options)


def test_sample_paths_come_from_the_errors_of_the_history(tmp_path):
    write_csv(tmp_path / "data.csv", 200)
    found, _ = answered(horizon=6, samples=5)
    assert found.samples.shape == (2, 6, 5)


def test_rows_after_the_ends_are_not_read():
    rng = np.random.default_rng(1)
    values = 50 + rng.normal(size=300)
    panel = panel_of(values, season_length=24)
    ends, later = panel.offsets[1:] - 100, panel_of(np.concatenate([values[:200], values[200:] * 9]), season_length=24)
    windows = latest_windows(panel).take(np.array([0]))
    windows = type(windows)(panel.target, windows.start, ends, windows.series, ends)
    other = type(windows)(later.target, windows.start, ends, windows.series, ends)
    found = ZeroShot(open_pretrained(24), panel, ends, 12).forecast(windows, (0.1, 0.9))
    changed = ZeroShot(open_pretrained(24), later, ends, 12).forecast(other, (0.1, 0.9))
    np.testing.assert_array_equal(found, changed)


@given(st.lists(st.floats(0.03, 0.97), min_size=1, max_size=5))
def test_levels_between_those_trained_keep_their_order(levels):
    levels = sorted(levels)
    trained = np.sort(np.random.default_rng(0).normal(size=(2, 3, len(LEVELS))), axis=2)
    found = between_levels(trained, LEVELS, levels)
    assert (np.diff(found, axis=2) >= -1e-12).all()
    np.testing.assert_array_equal(between_levels(trained, LEVELS, LEVELS), trained)


@given(st.integers(1, 30), st.integers(0, 1000))
def test_widths_never_shrink_below_those_of_a_random_walk(steps, seed):
    raw = np.sort(np.random.default_rng(seed).normal(size=(2, steps, 4)), axis=2)[:, :, [1, 0, 2, 3]]
    found = widened_beyond_horizon(raw, 4)
    np.testing.assert_array_equal(found[:, :4], raw[:, :4])
    assert (np.diff(np.sort(found[:, :, 1:], axis=2) - found[:, :, 1:]) == 0).all()
    if steps > 4:
        grown = (raw[:, 3:4, 1:] - raw[:, 3:4, :1]) * np.sqrt(np.arange(5, steps + 1) / 4)[None, :, None]
        assert (np.abs(found[:, 4:, 1:] - found[:, 4:, :1]) >= np.abs(grown) - 1e-9).all()


def test_the_name_is_taken(tmp_path):
    from forecaster.commands.train import train

    for options in ({"name": "pretrained"}, {}):
        with pytest.raises(UsageError, match="'pretrained' is the name of the networks") as error:
            train(tmp_path / "pretrained.csv", TrainSettings(**options), Recorder())
        assert error.value.hint == "Give another --name."


START = """
import json, pathlib, sys
from forecaster.serving import pretrained
pretrained.ROOT = pathlib.Path(sys.argv[1])
from forecaster.cli.main import run
code = run(["predict", "data.csv", "--horizon", "6", "--output", "out.csv", "--quiet"])
heavy = ("tensorflow", "keras", "pandas", "sklearn", "onnx", "tf2onnx", "jax", "torch", "scipy", "rich", "pydantic")
print(json.dumps([code, [name for name in heavy if name in sys.modules]]))
"""


@pytest.mark.slow
def test_a_new_process_answers_without_a_slow_library(tmp_path, shipped):
    write_csv(tmp_path / "data.csv", 100)
    done = subprocess.run([sys.executable, "-c", START, str(shipped)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[0, []]\n", "")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].endswith(",pretrained,pretrained gru")


def test_a_network_of_another_installation_is_read_from_its_card(shipped):
    card = json.loads((shipped / "24" / "card.json").read_text())
    assert open_pretrained(24)[0].card.network.context_length == card["network"]["context_length"]
    assert open_pretrained(24)[0].card.method == "pretrained gru"


def test_the_method_is_that_of_the_network_for_the_season(tmp_path, shipped):
    """Of the two networks that are there the one without a season has a simple method in its graph, which hours do not read."""
    path = shipped / "1" / "card.json"
    floor = {"season_length": 1, "length": 8, "horizon": 6, "log": False, "weight": 0.5, "method": "theta"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "floor": floor}))
    write_csv(tmp_path / "data.csv", 100)
    found, _ = answered(horizon=6)
    assert set(found.method) == {"pretrained gru"} == {found.metadata()["method"]}
    assert open_pretrained(5)[0].card.method == "50 % pretrained gru; 50 % theta"


def test_each_series_names_the_network_that_forecast_it(tmp_path, shipped):
    """Series with less than a season of rows are forecast by their level, whatever is in the graph without a season."""
    path = shipped / "1" / "card.json"
    floor = {"season_length": 1, "length": 8, "horizon": 6, "log": False, "weight": 0.5, "method": "theta"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "floor": floor}))
    first = {"long": 0, "short": 90, "tiny": 97}
    write_csv(
        tmp_path / "data.csv", 100, (*first,), value=lambda n, t: 9.0 + t % 24 if t >= [*first.values()][n] else None
    )
    methods = ["pretrained gru", "exponential smoothing", "seasonal-naive"]
    assert list(answered(horizon=6)[0].method) == methods
    stored(tmp_path / "models", factor=1e6)  # implausible, so that the fallback answers
    assert list(answered(horizon=6, fallback="pretrained")[0].method) == methods


def test_an_evaluation_names_what_a_forecast_names(tmp_path, shipped):
    path = shipped / "24" / "card.json"
    floor = {"season_length": 24, "length": 48, "horizon": 6, "log": False, "weight": 0.5, "method": "theta"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "floor": floor}))
    write_csv(tmp_path / "data.csv", 200)
    tested = evaluate(str(tmp_path / "data.csv"), EvaluateSettings(horizon=6), Recorder())
    assert {tested.method} == set(answered(horizon=6)[0].method)


def test_it_stands_in_for_a_model_that_cannot_answer_and_seasonal_naive_for_both(tmp_path, monkeypatch):
    write_csv(tmp_path / "data.csv", 100, ("a", "b"), value=lambda n, t: wave(n, t) if n == 0 or t > 96 else None)
    stored(tmp_path / "models", factor=1e6)
    found, watch = answered(horizon=6, fallback="pretrained")
    assert list(found.source) == ["pretrained", "seasonal-naive"] and found.fallbacks == 2
    assert watch.warnings[-2:] == [
        "a pretrained network for 2 of 2 series (a, b): 1 with too few rows, 1 with an implausible forecast",
        "seasonal naive for 1 of 2 series (b): 1 with too few rows",
    ]
    own = answered(horizon=6, model="pretrained")[0]
    np.testing.assert_array_equal(found.prediction, own.prediction)
    missing, watch = answered(horizon=6, fallback="pretrained", model="gone")
    assert list(missing.source) == ["pretrained", "seasonal-naive"]
    assert watch.warnings[0].startswith("a pretrained network for every series: no model 'gone'")
    ship(monkeypatch, tmp_path / "none")
    found, watch = answered(horizon=6, fallback="pretrained")
    assert set(found.source) == {"seasonal-naive"} and any("no pretrained network" in one for one in watch.warnings)


def test_the_paths_of_seasonal_naive_are_its_quantiles(tmp_path):
    """They were missing, so that no series of the file was forecast."""
    write_csv(tmp_path / "data.csv", 100, value=lambda n, t: wave(n, t) if n == 0 or t > 96 else None)
    found, _ = answered(horizon=6, samples=100)
    assert list(found.source) == ["pretrained", "seasonal-naive"]
    assert found.samples.shape == (2, 6, 100) and np.isfinite(found.samples).all()
    np.testing.assert_allclose(np.median(found.samples[1], axis=1), found.prediction[1], rtol=0.05)


def test_a_healthy_model_needs_no_fallback(tmp_path):
    write_csv(tmp_path / "data.csv", 100)
    stored(tmp_path / "models")
    assert set(answered(horizon=6, fallback="pretrained")[0].source) == {"model"}


@pytest.mark.parametrize(
    ("flags", "source"),
    [
        (["--fallback"], "seasonal-naive"),
        (["--fallback", "seasonal-naive"], "seasonal-naive"),
        (["--fallback", "pretrained"], "pretrained"),
        (["--fallback=pretrained"], "pretrained"),
        (["--fallback", "--no-fallback"], ""),
        ([], ""),
    ],
)
def test_the_flag_may_name_what_stands_in(tmp_path, capsys, flags, source):
    write_csv(tmp_path / "data.csv", 100)
    code = run(["predict", *flags, "data.csv", "--model", "gone", "--horizon", "6", "--quiet"])
    assert (code, source in capsys.readouterr().out) == (0 if source else 4, True)


def test_the_variable_and_the_file_may_name_it_too(tmp_path):
    file = ConfigFile("f.toml", {"fallback": "pretrained"}, {})
    assert resolve(PredictSettings, {}, {}, file, "predict").fallback == "pretrained"
    assert resolve(PredictSettings, {}, {"FORECASTER_FALLBACK": "1"}, file, "predict").fallback is True
    assert resolve(PredictSettings, {}, {"FORECASTER_FALLBACK": "no"}, file, "predict").fallback is False
    with pytest.raises(UsageError, match="'naive' is not one of seasonal-naive, pretrained"):
        resolve(PredictSettings, {"fallback": "naive"}, {}, file, "predict")
