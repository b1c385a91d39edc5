"""The verb tune: a search that never ends below the automatic plan, goes on where it stopped, and writes what train takes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from forecaster.commands.tune import _toml, tune
from forecaster.commands.tune_confirmation import Confirmation, measured
from forecaster.config import TrainSettings, TuneSettings
from forecaster.config.resolve import load_toml, resolve
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError, UsageError
from forecaster.training.auto_plan import draft_plan
from tests.support.factories import Recorder, frame_of, waves

TINY = {
    "horizon": 4,
    "season_length": 4,
    "context_length": 8,
    "segment": 4,
    "units": 4,
    "layers": 1,
    "epochs": 2,
    "steps_per_epoch": 2,
    "batch_size": 16,
    "windows": 2,
    "transform": "none",
    "quantiles": (0.1, 0.9),
    "calendar": False,
}


def frame(last=None):
    values = waves(3, 60)
    for row in values if last is not None else ():
        row[-8:] = last
    return frame_of(**{f"s{n}": row for n, row in enumerate(values)})


def settings_of(folder, **changes):
    return TuneSettings(**{**TINY, "output": str(folder / "best.toml"), **changes})


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match="needs optuna") as error:
        tune(frame(), settings_of(tmp_path), Recorder())
    assert "forecaster-rnn[tune]" in error.value.hint and error.value.code == 2


@pytest.mark.slow
@pytest.mark.long
def test_the_automatic_plan_is_first_and_the_search_goes_on_where_it_stopped(tmp_path, cpu):
    pytest.importorskip("optuna")
    study = str(tmp_path / "study.db")
    watch, more = Recorder(), Recorder()
    first = tune(frame(), settings_of(tmp_path, trials=2, study=study), watch)
    assert (first.trials, first.automatic["cell"], first.automatic["center"]) == (2, "gru", "season")
    assert first.error <= first.automatic_error
    plans = [note for note in watch.notes if note.startswith("plan ")]
    assert plans[0].startswith("plan 1: validation error") and "cell gru" in plans[0]
    searched = [(p.stage, p.epoch, p.epochs) for p in watch.reports if p.stage == "tune"]
    assert searched == [("tune", 1, 2), ("tune", 2, 2)]
    again = tune(frame(last=900.0), settings_of(tmp_path, trials=1, study=study), Recorder())
    later = tune(frame(), settings_of(tmp_path, trials=3, study=study), more)
    assert next(note for note in more.notes if note.startswith("plan ")).startswith("plan 3: ")
    assert later.trials == 3 and later.error <= first.error
    # Other rows are another study, and those of the test windows change no error.
    assert again.trials == 1
    assert again.automatic_error == first.automatic_error


@pytest.mark.slow
@pytest.mark.long
def test_what_is_written_is_the_plan_that_train_makes_of_it(tmp_path, cpu):
    pytest.importorskip("optuna")
    given = {"trials": 3, "time_budget": 600.0, "distribution": "normal"}
    found = tune(frame(), settings_of(tmp_path, **given), Recorder())
    path = tmp_path / "best.toml"
    assert path.exists() == found.confirmation.confirmed == bool(found.toml)
    if not found.toml:
        return
    assert path.read_text() == found.toml
    settings = resolve(TrainSettings, {}, {}, load_toml(str(path)), "train")
    plan = draft_plan(read_panel(frame(), season_length=4), settings).plan
    made = {**vars(plan.members[0]), **vars(plan.fit)}
    assert {name: made[name] for name in found.best} == pytest.approx(dict(found.best))
    assert (plan.horizon, made["units"], made["epochs"], made["quantiles"]) == (4, 4, 2, (0.1, 0.9))
    assert made["distribution"] == "normal" and "distribution" not in found.best  # given, so not searched


def test_what_is_automatic_anyway_stays_open_and_epochs_stay_epochs(tmp_path):
    automatic = {"cell": "gru", "epochs": 6}
    (tmp_path / "a.toml").write_text(_toml(TuneSettings(), 4, automatic, {"cell": "gru", "epochs": 12}))
    settings = resolve(TrainSettings, {}, {}, load_toml(str(tmp_path / "a.toml")), "train")
    assert (settings.cell, settings.epochs, settings.steps_per_epoch, settings.horizon) == (None, 12, 50, 4)
    assert len(draft_plan(read_panel(frame(), season_length=4), settings).plan.members) == 4


@pytest.mark.slow
@pytest.mark.long
def test_time_ends_the_search_but_not_before_the_automatic_plan(tmp_path, cpu):
    pytest.importorskip("optuna")
    found = tune(frame(), settings_of(tmp_path, trials=50, time_budget=1e-3), Recorder())
    assert found.trials == 1 and found.best == found.automatic
    assert "none has a lower error" in found.sentence


def test_a_file_that_is_no_study_is_refused(tmp_path, cpu):
    pytest.importorskip("optuna")
    (tmp_path / "no.db").write_text("no database, but long enough to be told from one" * 10)
    with pytest.raises(UsageError, match="--study"):
        tune(frame(), settings_of(tmp_path, study=str(tmp_path / "no.db")), Recorder())


def test_too_few_rows_for_validation_windows_are_refused(tmp_path, cpu):
    pytest.importorskip("optuna")
    with pytest.raises(DataError, match="nothing to tune on"):
        tune(frame_of(a=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), settings_of(tmp_path, allow_untested_horizon=True), Recorder())


def test_options_without_effect_are_refused():
    for given in ({"baselines": "all"}, {"patience": 2}, {"cell": "auto"}):
        with pytest.raises(UsageError, match="--"):
            replace(TuneSettings(), **given)
    assert Path(TuneSettings().output).name == "best.toml"


def confirmation(automatic, found):
    """Errors by seed, of the plan without and with another cell."""
    errors = {("gru", i + 1): error for i, error in enumerate(automatic)}
    errors |= {("lstm", i + 1): error for i, error in enumerate(found)}
    plans = TrainSettings(cell="gru"), TrainSettings(cell="lstm")
    return measured(lambda settings: errors[settings.cell, settings.seed], *plans, len(found))


@pytest.mark.parametrize(
    ("automatic", "found", "sure", "words"),
    [
        ((1.0, 1.1, 1.2), (0.9, 1.0, 1.1), True, "Confirmed with 3 of 3 other seeds"),
        ((1.0, 1.1, 1.2), (0.9, 1.2, 1.1), False, "lower with 2 of 3 other seeds only"),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), False, "lower with 0 of 3"),
    ],
)
def test_a_gain_must_be_seen_again_with_other_seeds(automatic, found, sure, words):
    made = confirmation(automatic, found)
    assert made.confirmed == sure and words in made.sentence
    assert ("No file is written" in made.sentence) != sure


def test_nothing_found_is_nothing_confirmed():
    assert not Confirmation((), ()).confirmed


@pytest.mark.slow
def test_a_plan_has_the_error_of_what_would_be_served(tmp_path, cpu):
    """A network of two steps is poor; a simple method, which is served in its place, is not."""
    from time import monotonic
    from types import SimpleNamespace

    from forecaster.commands.tune import _Search

    panel = read_panel(frame(), season_length=4)
    search = _Search(panel, settings_of(tmp_path, cell="gru", center="mean", dropout=0.0), Recorder(), monotonic())
    alone = []
    trial = SimpleNamespace(
        params={},
        suggest_float=lambda *_args, **_kwargs: 1e-3,
        suggest_categorical=lambda _name, choices: choices[0],
        report=lambda error, _step: alone.append(error),
        should_prune=lambda: False,
    )
    served = search.error(SimpleNamespace(TrialPruned=RuntimeError), trial, {})
    assert 0.0 < served < 0.9 * alone[-1]
