"""Members that are fitted at once report one progress, whose time left leaves out what only a first epoch takes."""

from __future__ import annotations

import math

import pytest

from forecaster.training import fit_members
from forecaster.typing import Progress
from tests.support.factories import Recorder


def test_the_time_left_is_that_of_epochs_without_compilation(monkeypatch):
    clock = iter([30.0, 31.0, 61.0, 62.0, 63.0])  # each member's first epoch compiles for half a minute
    monkeypatch.setattr(fit_members.time, "monotonic", lambda: next(clock))
    watch = Recorder()
    together = fit_members._JointProgress(watch, "test", [3, 2], 1)
    for member, epoch in ((0, 1), (0, 2), (1, 1), (0, 3), (1, 2)):
        together.member(member).progress(Progress("test", epoch, 3, 1.0, None, 0.0))
    assert [one.epoch for one in watch.reports] == [1, 2, 3, 4, 5]
    assert watch.reports[0].seconds_left == math.inf  # nothing is known yet, and nothing is said
    assert watch.reports[1].seconds_left == pytest.approx(3.0)
    assert watch.reports[-1].seconds_left == 0.0
