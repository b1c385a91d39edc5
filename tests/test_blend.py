"""What is joined: members are mixed and smoothing is blended in only where held-back windows gain by it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from forecaster.blend import Bench, final_floor, mix, with_floor
from forecaster.config import TrainSettings
from forecaster.data.inputs import Needs
from forecaster.data.windows import rolling
from forecaster.planning import make_plan
from tests.tiny import NAN, Recorder, panel_of, waves

NONE, LOG = ("none", "series"), ("log", "transform")
PANEL = panel_of(*waves(3, 60))
WINDOWS = rolling(PANEL, PANEL.offsets[1:], 4, 1, 4)
TRUTH = WINDOWS.gather(0, 4)


@dataclass(frozen=True)
class Told(Bench):
    """A bench whose networks are their forecasts, and whose smoothing is as given."""

    floor: np.ndarray | None = None

    def forecast(self, networks):
        return np.median(networks, axis=0)

    def smoothed(self, floor):
        return self.floor


def bench_of(floor=None, panel=PANEL, windows=WINDOWS):
    return Told(panel, windows, np.ones(3), relative=False, needs=Needs(8, 4, ()), floor=floor)


@pytest.fixture
def plan():
    made = make_plan(PANEL, TrainSettings(members=4, horizon=4))
    assert made.floors
    return made


def test_forecasts_that_err_to_both_sides_are_mixed(plan):
    mixed = mix(plan, bench_of(), {NONE: TRUTH + 1.0, LOG: TRUTH - 1.0}, NONE, Recorder())
    assert mixed.pairs[0] == NONE
    assert set(mixed.pairs) == {NONE, LOG}
    assert mixed.rows[-1].setting == "mixture"


def test_a_pair_that_does_not_help_is_left_out(plan):
    decided = mix(plan, bench_of(), {NONE: TRUTH + 1.0, LOG: TRUTH + 3.0}, NONE, Recorder())
    assert decided is plan


def test_each_job_is_fitted_as_its_pair_says(plan):
    mixed = plan.mixed([NONE, LOG, ("log", "window"), NONE], "")
    assert [(m.transform, fit.error_scale) for m, fit in mixed.jobs] == [NONE, LOG, ("log", "window"), NONE]


def test_a_floor_that_is_exact_gets_the_largest_share_and_one_that_is_absurd_none(plan):
    exact = with_floor(plan, bench_of(TRUTH), [TRUTH + 1.0], "windows", Recorder())
    assert exact.floor.weight == max(one.weight for one in plan.floors)
    absurd = with_floor(plan, bench_of(TRUTH + 100.0), [TRUTH + 1.0], "windows", Recorder())
    assert absurd.floor is None


def test_a_second_set_of_windows_counts_as_much_as_the_first(plan):
    lucky = with_floor(plan, bench_of(TRUTH), [TRUTH + 1.0], "windows", Recorder())
    sober = with_floor(lucky, bench_of(TRUTH + 9.0), [TRUTH + 1.0], "windows", Recorder())
    assert len(sober.asked) == 2
    assert (sober.floor.weight if sober.floor else 0.0) < lucky.floor.weight


def test_the_judged_weights_keep_the_floor_that_was_chosen_without_seeing_their_windows(plan):
    lucky = with_floor(plan, bench_of(TRUTH), [TRUTH + 1.0], "windows", Recorder())
    final = final_floor(lucky, bench_of(TRUTH + 9.0), TRUTH + 1.0, Recorder())
    assert final.judged_floor == lucky.floor
    assert final.floor.weight < lucky.floor.weight
    # A share of 0 still reads the same context, so that both graphs take the same windows.
    assert final.floor.length == lucky.floor.length


def test_a_floor_as_given_is_nobodys_choice():
    given = make_plan(PANEL, TrainSettings(members=1, horizon=4, floor=0.3))
    final = final_floor(given, bench_of(TRUTH + 9.0), TRUTH, Recorder())
    assert final.floor == final.judged_floor == given.floor


def test_windows_with_nothing_observed_weigh_nothing():
    blank = panel_of(*waves(2, 60), [*waves(1, 56)[0], NAN, NAN, NAN, NAN])
    windows = rolling(blank, blank.offsets[1:], 4, 1, 4)
    truth = np.nan_to_num(windows.gather(0, 4))
    assert bench_of(panel=blank, windows=windows).error(truth + 1.0) == pytest.approx(1.0)


def test_relative_errors_join_in_where_values_are_positive():
    bench = replace(bench_of(), relative=True)
    scaled, shares = np.abs(0.1 * TRUTH).mean(), np.mean(2.0 * 0.1 / 2.1)
    assert bench.error(1.1 * TRUTH) == pytest.approx(np.sqrt(scaled * shares))
