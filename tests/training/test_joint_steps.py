"""A fit by two workers, or on two devices, is the fit of one process."""

from __future__ import annotations

import json

import pytest

from tests.support.joint_fit import losses
from tests.support.worker_processes import end_of, start_workers

pytestmark = pytest.mark.slow
FIT = ("-m", "tests.support.joint_fit")


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Of this process with two parts, of one with two logical devices, and of two workers."""
    folder = tmp_path_factory.mktemp("fits")
    running = [*start_workers([[*FIT, "2", "1"]], folder), *start_workers([[*FIT, "1", "1"]] * 2, folder)]
    ended = end_of(running, 240)
    assert [one.code for one in ended] == [0, 0, 0], ended
    found = [json.loads(one.out) for one in ended]
    return dict(zip(("one", "devices", "first", "second"), (losses(1, 2), *found), strict=True))


@pytest.mark.parametrize("other", ["devices", "first"])
def test_the_loss_curve_is_that_of_one_process(curves, other):
    for what in ("loss", "validation", "weights"):
        assert curves[other][what] == pytest.approx(curves["one"][what], rel=1e-5)
    assert curves["one"]["loss"][-1] < 0.9 * curves["one"]["loss"][0]


def test_workers_have_the_same_weights_to_the_bit(curves):
    assert curves["first"] == curves["second"]
