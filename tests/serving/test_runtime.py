"""The graph runs on as many threads as the process may use, and its answers do not depend on their number."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from forecaster.errors import ArtifactError
from forecaster.serving.runtime import PART, OnnxRuntime
from tests.support.stored_models import SEASON, write_graph


@pytest.fixture
def graph(tmp_path):
    write_graph(tmp_path / "model.onnx", 6, 1.0, 0.5)
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("windows", [1, PART, 2 * PART + 3])
def test_the_answer_is_that_of_one_thread(graph, windows):
    context = np.random.default_rng(0).normal(size=(windows, SEASON))
    found = [OnnxRuntime(graph, threads).run(context, {}) for threads in (1, 2, 5)]
    np.testing.assert_array_equal(found[0][:, :, 0], context[:, :6] + 0.5)
    assert all(np.array_equal(one, found[0]) for one in found)


def test_there_is_a_thread_for_each_processor_that_the_process_may_use(graph, monkeypatch):
    """onnxruntime counts all of the machine, and its threads spin: a process on one of two cores took four times as long."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    found = OnnxRuntime(graph)
    assert found._threads == 3 and found._session.get_session_options().intra_op_num_threads == 1
    assert OnnxRuntime(graph, 2)._threads == 2


class Session:
    """Loads, and fails when it runs."""

    said = ""

    def __init__(self, *arguments, **options):
        pass

    def run(self, *arguments):
        raise RuntimeError(self.said)


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ("Exception during initialization: std::bad_alloc", MemoryError),
        ("BFCArena: Failed to allocate memory for requested buffer of size 9", MemoryError),
        ("Invalid rank for input", ArtifactError),
    ],
)
def test_want_of_memory_is_no_damage(graph, monkeypatch, said, raised):

    def refuse(*arguments, **options):
        raise RuntimeError(said)

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(raised):
        OnnxRuntime(graph)
    monkeypatch.setattr(Session, "said", said)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(raised):
        OnnxRuntime(graph).run(np.zeros((1, SEASON)), {})
