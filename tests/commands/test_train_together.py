"""`train` as the workers of TF_CONFIG: the first stores the model; whatever goes wrong ends in one line, and stores nothing."""

from __future__ import annotations

import pytest

from tests.support.factories import frame_of, waves
from tests.support.worker_processes import end_of, start_workers

pytestmark = pytest.mark.slow
SECONDS = 240
TINY = ["--context-length", "8", "--segment", "4", "--units", "4", "--members", "1", "--floor", "0", "--epochs", "4"]
TINY += ["--steps-per-epoch", "2", "--batch-size", "8", "--learning-rate", "0.005", "--error-scale", "window"]
TINY += ["--transform", "none", "--windows", "2", "--threads", "1", "--no-pretrained", "--quiet"]
DYING = """
import os, signal, sys
from forecaster.cli.main import run
from forecaster.training import fit
fit._Fit._validate = lambda self: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path):
    first, second = waves(2, 60)
    frame_of(a=first, b=second).to_csv(tmp_path / "data.csv", index=False)
    return tmp_path


def words(store, horizon="4"):
    return ["train", "data.csv", "--horizon", horizon, "--models", store, *TINY]


def versions(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/data/[0-9]*"))


def test_a_worker_that_dies_ends_the_others_in_one_line(folder):
    dying, other = ["-c", DYING, *words("two")], ["-m", "forecaster", *words("one")]
    first, second = end_of(start_workers([other, dying], folder), SECONDS)
    assert second.code == -9 and first.code == 75
    assert first.err.startswith("error: training on 2 workers: worker 1 (localhost:")
    assert "cannot be reached." in first.err and first.err.count("\n") == 1 and not first.out
    assert not versions(folder) and not list(folder.glob("*/data/current"))


@pytest.mark.long
def test_the_first_stores_the_model_and_the_others_say_that_they_took_part(folder):
    one, two = (["-m", "forecaster", *words(store)] for store in ("one", "two"))
    first, second = end_of(start_workers([one, two], folder), SECONDS)
    assert (first.code, second.code) == (0, 0), (first, second)
    assert versions(folder) == ["one/data/1"]
    assert "data@1 stored in" in first.out
    assert second.out.startswith("worker 1 (localhost:") and second.out.endswith("stores the model.\n")


@pytest.mark.long
def test_another_option_ends_every_worker_with_the_same_line(folder):
    one, two = (["-m", "forecaster", *words("one", horizon)] for horizon in ("4", "5"))
    ended = end_of(start_workers([one, two], folder), SECONDS)
    assert [one.code for one in ended] == [2, 2] and ended[0].err == ended[1].err
    assert "has another --horizon than worker 0" in ended[0].err and ended[0].err.count("\n") == 1
    assert not versions(folder)


@pytest.mark.long
def test_a_worker_that_does_not_come_is_named(folder):
    """The same for one that ends before all have read their data, as the second does."""
    code = "import sys\nfrom forecaster.cli.main import run\nfrom forecaster.engines import worker_group\n"
    code += "worker_group.START_SECONDS = 5.0\nsys.exit(run(sys.argv[1:]))"
    first, _ = end_of(start_workers([["-c", code, *words("one")], ["-c", "pass"]], folder), SECONDS)
    assert first.code == 75 and "worker 1 (localhost:" in first.err and first.err.count("\n") == 1
    assert not versions(folder)
