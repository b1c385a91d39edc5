"""Where fits start from and leave their state."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.errors import ArtifactError, UsageError
from forecaster.training.checkpoints import (
    FINAL_STAGE,
    TEST_STAGE,
    Checkpoints,
    read_state,
    state_file,
    write_state,
    write_stored_state,
)
from forecaster.training.fit_types import State


def state(epoch=1, value=1.0, size=2):
    return State(
        epoch=epoch,
        finished=False,
        best_epoch=epoch,
        best_loss=0.5,
        best_error=0.5,
        last_error=0.5,
        weights=[np.full(size, value)],
        best_weights=[np.full(size, -value)],
        optimizer=[np.zeros(1)],
    )


def network(size=2):
    return SimpleNamespace(weights=[np.zeros(size)])


def test_without_a_source_a_fit_is_fresh(tmp_path):
    assert Checkpoints(tmp_path / "u", None, weights_only=False).start(TEST_STAGE, 0, network()) is None


def test_going_on_gives_the_state_of_the_same_stage_and_member(tmp_path):
    write_state(tmp_path / "judge-0.npz", state(1))
    write_state(tmp_path / "judge-1.npz", state(2))
    write_state(tmp_path / "final-0.npz", state(3))
    checkpoints = Checkpoints(tmp_path / "u", tmp_path, weights_only=False)
    found = [checkpoints.start(*which, network()) for which in ((TEST_STAGE, 0), (TEST_STAGE, 1), (FINAL_STAGE, 0))]
    assert [one.epoch for one in found] == [1, 2, 3]


def test_starting_from_another_model_takes_its_best_weights_only(tmp_path):
    write_state(tmp_path / "judge-0.npz", state(value=3.0))
    net = network()
    assert Checkpoints(tmp_path / "u", tmp_path, weights_only=True).start(TEST_STAGE, 0, net) is None
    np.testing.assert_array_equal(net.weights[0], [-3, -3])


@pytest.mark.parametrize(("there", "asked"), [(TEST_STAGE, FINAL_STAGE), (FINAL_STAGE, TEST_STAGE)])
def test_a_model_of_one_stage_serves_for_both(tmp_path, there, asked):
    write_state(tmp_path / state_file(there, 0), state(7))
    assert Checkpoints(tmp_path / "u", tmp_path, weights_only=False).start(asked, 0, network()).epoch == 7


def test_a_fit_that_had_not_begun_when_it_was_killed_is_fresh(tmp_path):
    write_state(tmp_path / "judge-0.npz", state())
    assert Checkpoints(tmp_path, tmp_path, weights_only=False).start(FINAL_STAGE, 0, network()) is None


def test_another_shape_is_refused(tmp_path):
    write_state(tmp_path / "judge-0.npz", state())
    with pytest.raises(UsageError, match="another shape"):
        Checkpoints(tmp_path / "u", tmp_path, weights_only=False).start(TEST_STAGE, 0, network(3))


def test_a_missing_state_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no state to start from"):
        Checkpoints(tmp_path / "u", tmp_path, weights_only=False).start(TEST_STAGE, 0, network())


def test_the_first_state_is_written_and_then_one_every_some_seconds(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("forecaster.training.checkpoints.time", SimpleNamespace(monotonic=lambda: clock[0]))
    keep = Checkpoints(tmp_path, None, weights_only=False).save(TEST_STAGE, 0)
    written = []
    for epoch, now in ((1, 1000.0), (2, 1005.0), (3, 1030.0)):
        clock[0] = now
        keep(state(epoch))
        written.append(read_state(tmp_path / "judge-0.npz").epoch)
    assert written == [1, 1, 3]


def test_clearing_forgets_an_unfinished_training(tmp_path):
    checkpoints = Checkpoints(tmp_path / "u", None, weights_only=False)
    checkpoints.save(TEST_STAGE, 0)(state())
    checkpoints.clear()
    checkpoints.clear()
    assert not (tmp_path / "u").exists()


def test_a_finished_fit_of_a_version_keeps_its_best_weights_alone(tmp_path):
    path = tmp_path / "judge-0.npz"
    write_stored_state(path, replace(state(4, value=2.0), finished=True), None)
    found = read_state(path)
    assert (found.epoch, found.finished, found.best_loss, found.optimizer) == (4, True, 0.5, [])
    np.testing.assert_array_equal(found.best_weights[0], [-2, -2])
    np.testing.assert_array_equal(found.weights[0], [-2, -2])


def test_an_interrupted_fit_of_a_version_keeps_all_that_it_needs_to_go_on(tmp_path):
    path = tmp_path / "judge-0.npz"
    write_stored_state(path, state(4), 0)
    found = read_state(path)
    assert (found.finished, len(found.optimizer)) == (False, 1)
    np.testing.assert_array_equal(found.weights[0], [1, 1])


def test_a_state_whose_weights_are_in_a_graph_that_is_gone_is_refused_in_one_line(tmp_path):
    path = tmp_path / "state" / "final-0.npz"
    write_stored_state(path, replace(state(), finished=True), 0)
    with pytest.raises(ArtifactError, match="missing or damaged"):
        read_state(path)
