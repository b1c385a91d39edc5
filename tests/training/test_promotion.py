"""Champion and challenger: compared on windows that neither has seen, with a margin."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.cli.typer_adapter import METAVARS, _with_values
from forecaster.config import TrainSettings
from forecaster.config.resolve import from_mapping
from forecaster.data.covariate_encodings import Encoding
from forecaster.errors import ArtifactError, QualityError, UsageError
from forecaster.evaluation.backtest import backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.serving.manifest import read_manifest, write_manifest
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.store import Store
from forecaster.serving.stored_graphs import load_runtime
from forecaster.training.promotion import Champion, Promotion, better_than_naive, promotion
from tests.support.stored_models import HOUR, stored, wave, write_csv
from tests.support.stub_commands import TRAINED


def growing(n, t):
    """Naive lags by 4.8 a day; a model with that bias knows it."""
    return wave(n, t) + 0.2 * t


@pytest.fixture
def panel(tmp_path):
    from forecaster.data.reading.reader import read_panel

    return read_panel(write_csv(tmp_path / "data.csv", 240, value=growing))


def contest(tmp_path, panel, *, bias, margin=0.0, windows=4, tested=True, **changes):
    """What becomes of a challenger with this bias: the verdict, and the version that it got."""
    store = Store(tmp_path / "models")
    shelf = stored(tmp_path / "other", bias=bias, horizon=6, **changes)
    folder = tmp_path / "other" / "m" / str(shelf)
    manifest = read_manifest(folder)
    holdout = make_holdout(panel, holdout_windows(panel, 6, windows), horizon=6, context_length=manifest.context_length)
    raw = raw_forecasts(load_runtime(folder, manifest, "onnx"), manifest, panel, holdout.windows, 6)
    found = backtest(holdout, raw.values, manifest.quantiles, baseline_forecasts(holdout, learned=False))
    verdict = promotion(store, "m", found if tested else None, margin, learned=False)
    with store.new_version("m") as draft:
        shutil.copytree(folder, draft.folder, dirs_exist_ok=True)
        write_manifest(draft.folder, replace(manifest, refused=verdict.refusal))
        return verdict, draft.publish(serves=verdict.promoted)


def test_the_first_version_must_beat_the_baselines(tmp_path, panel):
    found, version = contest(tmp_path, panel, bias=20.0)
    assert not found.promoted and "does not beat" in found.reason
    with pytest.raises(ArtifactError):
        Store(tmp_path / "models").current("m")
    found, version = contest(tmp_path, panel, bias=4.8)
    assert found.promoted and Store(tmp_path / "models").current("m") == version == 2
    assert {"model", "seasonal-naive", "naive", "drift"} == set(found.scores)
    assert found.windows == 8 and found.metric == "MASE"


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_a_simple_method_that_is_best_serves_night_after_night(tmp_path, panel, margin):
    alone = Smoothing(24, 24, 6, False, 1.0, "seasonal naive")
    for version in (1, 2, 3):  # bias 0: the stored graph is the seasonal naive itself
        found, number = contest(tmp_path, wavy(tmp_path), bias=0.0, margin=margin, smoothing=alone)
        assert found.promoted and number == version, found.reason
        assert "forecast" in found.reason and Store(tmp_path / "models").current("m") == version


def wavy(tmp_path):
    """Seasonal naive is exact here, so nothing is better."""
    from forecaster.data.reading.reader import read_panel

    return read_panel(write_csv(tmp_path / "wave.csv", 240))


def test_a_challenger_serves_only_if_it_beats_the_champion_by_the_margin(tmp_path, panel):
    last = int(panel.timestamps[-1]) - 24 * HOUR
    stored(tmp_path / "models", bias=4.0, last=last)
    found, _ = contest(tmp_path, panel, bias=3.9)
    assert not found.promoted and "m@1" in found.reason
    found, _ = contest(tmp_path, panel, bias=4.8)
    assert found.promoted and Store(tmp_path / "models").current("m") == 3
    found, _ = contest(tmp_path, panel, bias=4.8)
    assert not found.promoted  # no better than itself
    stored(tmp_path / "models", bias=4.5, last=last)
    gain = 1 - found.scores["model"] / score_of_champion(tmp_path, panel)
    assert not contest(tmp_path, panel, bias=4.8, margin=gain + 0.01)[0].promoted
    assert contest(tmp_path, panel, bias=4.8, margin=gain - 0.01)[0].promoted


def score_of_champion(tmp_path, panel):
    found, _ = contest(tmp_path, panel, bias=99.0)
    return found.scores["m@5"]


def test_a_refused_version_is_kept_says_why_and_is_passed_over_by_rollback(tmp_path, panel):
    last = int(panel.timestamps[-1]) - 24 * HOUR
    store = Store(tmp_path / "models")
    stored(tmp_path / "models", bias=4.0, last=last)
    _, refused = contest(tmp_path, panel, bias=30.0)
    _, better = contest(tmp_path, panel, bias=4.8)
    assert (refused, better) == (2, 3) and store.versions("m") == (1, 2, 3)
    assert "does not beat" in read_manifest(store.resolve("m@2")).refused
    assert store.rollback("m") == 1
    assert store.rollback("m", 2) == 2


def test_only_windows_that_the_champion_has_not_seen_count(tmp_path, panel):
    last = int(panel.timestamps[-1])
    stored(tmp_path / "models", bias=4.0, last=last - 12 * HOUR)  # with 1 test window of 6 hours before that
    found, _ = contest(tmp_path, panel, bias=4.8)
    assert found.windows == 6  # its tested weights have not seen 3 of the 4 windows of each series
    store = Store(tmp_path / "models")
    champion = store.resolve("m@1")
    store.rollback("m", 1)
    write_manifest(champion, replace(read_manifest(champion), test_windows=0))
    found, _ = contest(tmp_path, panel, bias=4.8)
    assert found.windows == 4  # only the weights that serve, which have seen more
    write_manifest(champion, replace(read_manifest(champion), data=replace(read_manifest(champion).data, last=last)))
    store.rollback("m", 1)
    found, _ = contest(tmp_path, panel, bias=4.8)
    assert not found.promoted and "has seen every window" in found.reason


def test_the_serving_weights_are_compared_where_they_have_seen_no_more_than_the_tested_ones(tmp_path, panel):
    stored(tmp_path / "models", last=0)
    manifest = read_manifest(Store(tmp_path / "models").resolve("m"))
    windows = holdout_windows(panel, 6, 4)
    seen, weights = Champion("m@1", manifest, "serving", "tested").unseen(panel, windows)
    assert seen.all() and weights == "serving"
    manifest = replace(manifest, data=replace(manifest.data, last=int(panel.timestamps[-1])))
    seen, weights = Champion("m@1", manifest, "serving", "tested").unseen(panel, windows)
    assert weights == "tested" and np.array_equal(seen, [False, False, False, True] * 2)


def test_no_test_windows_another_frequency_or_a_damaged_champion(tmp_path, panel):
    found, _ = contest(tmp_path, panel, bias=4.8, tested=False)
    assert not found.promoted and "too few rows" in found.reason
    stored(tmp_path / "models", bias=4.8)
    graph = tmp_path / "models" / "m" / "2" / "model.onnx"
    graph.write_bytes(b"!")
    found, _ = contest(tmp_path, panel, bias=4.5)
    assert found.promoted and "m@2 cannot answer" in found.reason
    folder = tmp_path / "models" / "m" / "3"
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, data=replace(manifest.data, freq="D")))
    found, _ = contest(tmp_path, panel, bias=4.8)
    assert not found.promoted and "forecasts D data, not h" in found.reason


def test_a_champion_that_reads_other_columns_is_not_beaten(tmp_path, panel):
    contest(tmp_path, panel, bias=4.8)
    folder = tmp_path / "models" / "m" / "1"
    manifest = read_manifest(folder)
    reads = tuple(replace(one, covariates=(Encoding("price", "known"),)) for one in manifest.members)
    write_manifest(folder, replace(manifest, members=reads))
    found, _ = contest(tmp_path, panel, bias=4.8)
    assert found == Promotion(False, "m@1 reads price, which this training does not")


def test_starting_from_weights_that_have_seen_the_windows_is_refused():
    for start in ({"resume": True}, {"from": "m"}):
        with pytest.raises(UsageError, match="--promote-if-better"):
            from_mapping(TrainSettings, {"promote_if_better": 0.1, **start}, "here")
    assert from_mapping(TrainSettings, {"promote_if_better": True}, "here").promote_if_better == 0.0


def test_the_margin_need_not_be_given():
    flags = {"--promote-if-better": METAVARS["margin"]}
    assert _with_values(["a.csv", "--promote-if-better"], flags) == ["a.csv", "--promote-if-better", "0"]
    assert _with_values(["--promote-if-better", "a.csv"], flags) == ["--promote-if-better", "0", "a.csv"]
    assert _with_values(["--promote-if-better", "0.02"], flags) == ["--promote-if-better", "0.02"]
    assert _with_values([], flags) == []


def test_a_report_that_was_refused_is_a_missed_gate():
    TRAINED.refuse_unpromoted()
    refused = replace(TRAINED, promotion=Promotion(False, "no better"))
    with pytest.raises(QualityError, match=r"air@3 is stored but does not serve: no better\."):
        refused.refuse_unpromoted()
    assert refused.to_json()["promotion"]["promoted"] is False and "promotion" not in TRAINED.to_json()


@pytest.mark.slow
def test_train_promote_if_better_keeps_what_does_not_win(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv", 120)
    options = "--horizon 6 --epochs 1 --steps-per-epoch 1 --learning-rate 0.1 --units 2 --windows 1 --members 1"
    options += " --no-final-fit --quiet"
    # No error is a tenth of that of the naive forecasts, so nothing serves yet, and no version is too old.
    assert run(["train", "data.csv", *options.split(), "--promote-if-better", "0.9", "--keep", "1"]) == 5
    found = Store(tmp_path / "models")
    assert found.versions("data") == (1,) and not found.serves("data")
    refused = read_manifest(tmp_path / "models" / "data" / "1").refused
    assert f"does not serve: {refused}" in capfd.readouterr().err
    with pytest.raises(ArtifactError):
        found.current("data")


@pytest.mark.parametrize("champion", [None, True, False])  # None: --promote-if-better is not given
@pytest.mark.parametrize("naive", [None, True, False])  # None: --require-better-than is not given
def test_both_gates_are_one_that_names_who_refused(monkeypatch, champion, naive):
    from types import SimpleNamespace

    from forecaster.training import publish

    def gate(name, promoted):
        return lambda *_args, **_kwargs: Promotion(promoted, name)

    monkeypatch.setattr(publish, "promotion", gate("champion", champion))
    monkeypatch.setattr(publish, "better_than_naive", gate("naive", naive))
    asked = {
        "promote_if_better": None if champion is None else 0.0,
        "require_better_than": None if naive is None else "naive",
    }
    training = SimpleNamespace(settings=TrainSettings(**asked), name="m", learned_baselines=False)
    found = publish._promotion(training, None, None)
    if champion is None and naive is None:
        assert found is None
    else:
        assert found.promoted == (champion is not False and naive is not False)
        assert found.reason == ("champion" if champion is False or naive is None or (champion and naive) else "naive")


@pytest.mark.parametrize(("bias", "promoted"), [(4.8, True), (20.0, False)])
def test_what_is_required_is_an_error_below_that_of_the_naive_forecasts(tmp_path, panel, bias, promoted):
    shelf = stored(tmp_path / "other", bias=bias, horizon=6)
    folder = tmp_path / "other" / "m" / str(shelf)
    manifest = read_manifest(folder)
    holdout = make_holdout(panel, holdout_windows(panel, 6, 4), horizon=6, context_length=manifest.context_length)
    raw = raw_forecasts(load_runtime(folder, manifest, "onnx"), manifest, panel, holdout.windows, 6)
    tested = backtest(holdout, raw.values, manifest.quantiles, baseline_forecasts(holdout, learned=False))
    found = better_than_naive(tested)
    assert found.promoted == promoted and set(found.scores) == {"model", "seasonal-naive", "naive"}
    assert not better_than_naive(None).promoted
