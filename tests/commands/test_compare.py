"""The verb compare: cells alike but for themselves, on windows that none has seen."""

from __future__ import annotations

import mmap
import time
from dataclasses import replace

import numpy as np
import pytest

from forecaster.cli.result_tables import comparison_table, memory_table
from forecaster.commands.compare import Comparison, Entry, compare
from forecaster.commands.peak_memory import PeakMemory
from forecaster.config import CompareSettings
from forecaster.config.resolve import from_mapping
from forecaster.data.windows import Windows
from forecaster.errors import DataError, UsageError
from forecaster.models.cells import CELLS
from forecaster.plotting.memory_plot import memory_plot
from forecaster.training.memory_forecasts import forecasts
from tests.support.factories import Recorder, frame_of, waves

TINY = {
    "horizon": 4,
    "season_length": 4,
    "context_length": 8,
    "segment": 4,
    "units": 4,
    "epochs": 2,
    "steps_per_epoch": 2,
    "learning_rate": 5e-3,
    "error_scale": "window",
    "batch_size": 16,
    "windows": 2,
    "transform": "none",
    "quantiles": (),
    "linear": False,
    "calendar": False,
}


def frame(last=None):
    """Six series of 40 days; `last` replaces the values of the test windows."""
    values = waves(6, 40)
    for row in values if last is not None else ():
        row[-4:] = last
    return frame_of(**{f"s{n}": row for n, row in enumerate(values)})


@pytest.fixture(scope="module")
def compared(cpu):
    return compare(frame(), CompareSettings(**TINY, cells=("rnn", "gru"), seeds=2, memory=True), Recorder())


@pytest.mark.slow
@pytest.mark.long
def test_every_cell_stands_beside_the_baselines_best_first(compared):
    assert {(e.cell, e.bidirectional) for e in compared.entries} == {
        (c, b) for c in ("rnn", "gru") for b in (False, True)
    }
    assert CompareSettings().cells == tuple(CELLS)
    assert CompareSettings().seeds == 3
    errors = [entry.error for entry in compared.entries]
    assert errors == sorted(errors)
    found = compared.to_json()
    assert (found["windows"], found["horizon"], found["seeds"]) == (12, 4, 2)
    assert set(found["baselines"]) == {"seasonal-naive", "naive", "drift"}
    for row in found["cells"]:
        assert row["parameters"] > 0 and row["seconds_per_epoch"] > 0
        one, other = row["by_seed"]
        assert one != other
        assert row["metrics"]["mase"] == pytest.approx((one["mase"] + other["mase"]) / 2)
    header, rows = comparison_table(compared)
    assert len(rows) == 4 + 3 and {len(row) for row in rows} == {len(header)}


@pytest.mark.slow
@pytest.mark.long
def test_every_cell_s_memory_stands_beside_the_others(compared):
    assert [one.name for one in compared.memories] == [entry.name for entry in compared.entries]
    header, rows = memory_table(compared.memories)
    assert len(header) == 1 + 2 * 4 and {len(row) for row in rows} == {len(header)}
    assert sum(row[1] for row in rows[:-1]) == pytest.approx(1.0)
    assert len(compared.to_json()["cells"][0]["memory"]["forecast_by_row"]) == 8
    for ending in ("png", "html"):
        assert len(memory_plot(compared.memories, f"a.{ending}")) > 1000
    assert len(compared.plot_memory().axes) == 2
    forgotten = replace(compared, entries=tuple(replace(entry, memory=None) for entry in compared.entries))
    with pytest.raises(UsageError, match="Give compare\\(\\) memory=True"):
        forgotten.plot_memory()


def test_the_advice_of_some_windows_and_seeds_reads_no_others():
    errors = {"gru": [[1.0, 1.0, 4.0, 4.0], [9.0, 9.0, 1.0, 1.0]], "rnn": [[2.0, 2.0, 3.0, 3.0], [8.0, 8.0, 2.0, 2.0]]}
    entries = tuple(Entry(name, name, False, 0, 1.0, 0, (), np.array(rows)) for name, rows in errors.items())
    windows = Windows(np.empty(0), np.zeros(1), np.zeros(1), np.zeros(4, int), np.arange(4))
    whole = Comparison(entries, {}, None, (), {}, windows)
    for chosen, seeds, best, share in (
        ([0, 1], slice(1), "gru", -0.5),
        ([2, 3], slice(1), "rnn", -0.25),
        ([2, 3], slice(1, None), "gru", -0.5),
        ([0, 1, 2, 3], slice(None), "gru", None),
    ):
        found = whole.on(np.array(chosen), seeds)
        assert (found.entries[0].name, len(found.windows)) == (best, len(chosen))
        assert share is None or found.lead.difference == pytest.approx(share)


def test_the_sentence_says_where_one_fit_of_each_makes_the_choice_likely():
    rng = np.random.default_rng(0)
    errors = {"gru": rng.uniform(1, 2, (2, 30)), "rnn": rng.uniform(2, 3, (2, 30))}
    entries = tuple(Entry(name, name, False, 0, 1.0, 0, (), rows) for name, rows in errors.items())
    windows = Windows(np.empty(0), np.zeros(1), np.zeros(1), np.zeros(30, int), np.arange(30))
    whole = Comparison(entries, {}, None, (), {}, windows)
    hint = "Each was fitted once: --seeds 3 shows whether chance made the difference."
    assert whole.on(np.arange(30), slice(1)).sentence.endswith(f": sure. None trains clearly faster. {hint}")
    assert "--seeds" not in whole.on(np.arange(30)).sentence
    assert "--seeds" not in whole.on(np.arange(5), slice(1)).sentence  # nothing is sure anyway


@pytest.mark.slow
@pytest.mark.long
def test_the_sentence_says_what_the_choice_costs(compared):
    first, second, *others = compared.entries
    slow, fast = replace(first, seconds_per_epoch=3.0), replace(second, seconds_per_epoch=1.0)
    entries = (slow, fast, *(replace(one, seconds_per_epoch=3.0) for one in others))
    more = second.error / first.error - 1
    cost = f"It takes 3 times as long to train as {second.name}, the fastest, with an error {more:.1%} higher."
    assert cost in replace(compared, entries=entries).sentence
    alike = tuple(replace(one, seconds_per_epoch=1.0) for one in compared.entries)
    assert "None trains clearly faster." in replace(compared, entries=alike).sentence


@pytest.mark.slow
@pytest.mark.long
def test_the_error_is_the_mean_of_the_windows_that_the_sentence_speaks_of(compared):
    first, second, *_ = compared.entries
    assert first.error == pytest.approx(first.score("mase"))
    assert compared.lead.difference == pytest.approx(first.error / second.error - 1)
    assert compared.sentence.startswith(f"Take {first.name}: ") and f"that of {second.name}" in compared.sentence
    assert "nothing sure" in compared.sentence  # six series


@pytest.mark.slow
@pytest.mark.long
def test_the_sentence_says_how_sure_it_is(compared):
    said = {
        ahead: replace(compared, lead=replace(compared.lead, ahead=ahead, drawn=50), baselines={}).sentence
        for ahead in (0.5, 0.9, 1.0)
    }
    sure = [said[ahead].rsplit(": ")[-1].split(".")[0] for ahead in said]  # the cost in training time comes after it
    assert sure == ["not sure at all", "likely, not sure", "sure"]
    assert "nothing is sure: too few windows" in replace(compared, lead=None).sentence
    assert "nothing else was tried" in replace(compared, entries=compared.entries[:1]).sentence


@pytest.mark.slow
@pytest.mark.long
def test_the_sentence_says_so_where_a_baseline_errs_no_more(compared):
    first, (name, scores) = compared.entries[0], next(iter(compared.baselines.items()))
    better = replace(compared, baselines={name: replace(scores, mase=first.score("mase") / 2)})
    assert better.sentence.endswith(
        f"But {name} has no higher error: MASE {first.score('mase') / 2:.3g}, compared with {first.score('mase'):.3g}."
    )
    worse = replace(compared, baselines={name: replace(scores, mase=first.score("mase") * 2)})
    assert "But" not in worse.sentence
    assert "But" not in replace(compared, baselines={name: replace(scores, mase=float("nan"))}).sentence


@pytest.mark.slow
@pytest.mark.long
def test_cells_differ_in_nothing_but_the_cell_and_learn_nothing_from_the_test_windows(cpu, monkeypatch):
    made = []
    monkeypatch.setattr(
        "forecaster.commands.compare.forecasts", lambda *given: made.append(forecasts(*given)) or made[-1]
    )
    tiny = {**TINY, "windows": 1, "distribution": "student-t", "error_scale": None}
    one = CompareSettings(**tiny, cells=("gru", "rnn"), bidirectional=False, seeds=1)
    watch = Recorder()
    first, again = compare(frame(), one, watch), compare(frame(last=1000.0), one, Recorder())
    assert {entry.name for entry in first.entries} == {"gru", "rnn"}
    assert not {"cell", "bidirectional", "members"} & {row.setting for row in first.plan}
    assert any(note.startswith("setting ") for note in watch.notes)
    assert first.plan == again.plan
    assert {row.setting: row.value for row in first.plan}["distribution"] == "student-t"
    gru, rnn, *changed = made
    np.testing.assert_array_equal([gru, rnn], changed)
    assert not np.array_equal(gru, rnn)


def test_without_rows_to_hold_back_there_is_nothing_to_compare(cpu):
    with pytest.raises(DataError, match="nothing to compare on"):
        compare(
            frame_of(a=[1.0, 2.0, 3.0, 4.0, 5.0]),
            CompareSettings(horizon=4, calendar=False, allow_untested_horizon=True),
            Recorder(),
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cells": "gru,gro"}, f"cells: 'gro' is not one of {', '.join(CELLS)}"),
        ({"cells": "gru,gru"}, "is not a list of names, each once"),
        ({"cells": ""}, "is not a list of names"),
        ({"patience": 3}, "--patience has no effect"),
        ({"name": "a"}, "unknown option 'name'"),
    ],
)
def test_options_that_mean_nothing_here_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        from_mapping(CompareSettings, given, "compare")


@pytest.mark.slow
@pytest.mark.long
def test_each_peak_of_memory_is_its_own():
    with PeakMemory() as quiet:
        pass
    # Straight from the system, and back to it: what is freed to an allocator may stay resident.
    with PeakMemory() as loud, mmap.mmap(-1, 320_000_000) as pages:
        for page in range(0, len(pages), mmap.PAGESIZE):
            pages[page] = 1
        for _ in range(500):
            if loud.bytes > quiet.bytes + 200_000_000:
                break  # it was seen
            time.sleep(0.01)
    with PeakMemory() as again:
        pass
    assert again.bytes < loud.bytes - 200_000_000
