"""The graph runs on as many threads as the process may use, and its answers do not depend on their number."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.runtime import CPU, CUDA, PART, OnnxRuntime
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


class CudaSession:
    """Stands for onnxruntime-gpu's, and records what it was asked for."""

    asked: list[list[object]] = []  # noqa: RUF012 - of the class, emptied by each test
    starts: tuple[str, ...] = (CUDA, CPU)

    def __init__(self, path, options, providers):
        self.asked.append(providers)
        if len(providers) > 1 and providers[0][1]["device_id"] > 1:
            raise RuntimeError("CUDA failure 101: invalid device ordinal\nat somewhere")
        self._providers = list(self.starts) if len(providers) > 1 else [CPU]
        self.runs = []

    def get_providers(self):
        return self._providers

    def run(self, _names, inputs):
        self.runs.append(len(inputs["context"]))
        return [np.zeros((len(inputs["context"]), 6, 1))]


@pytest.fixture
def cuda(monkeypatch):
    """An onnxruntime with CUDA on two GPUs."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", CudaSession)
    monkeypatch.setattr(CudaSession, "asked", [])
    return CudaSession


@pytest.mark.parametrize(("device", "number"), [("auto", 0), ("gpu", 0), ("gpu:1", 1)])
def test_a_gpu_that_is_there_runs_many_windows_at_once_in_one_thread(graph, cuda, device, number):
    found = OnnxRuntime(graph, 4, device)
    assert cuda.asked == [[(CUDA, {"device_id": number, "use_tf32": 0}), CPU]]
    found.run(np.zeros((2 * PART, SEASON)), {})
    assert found._session.runs == [2 * PART] and found._threads == 1


def test_cpu_is_a_processor_also_where_there_is_a_gpu(graph, cuda):
    OnnxRuntime(graph, 4, "cpu")
    OnnxRuntime(graph, 4)  # what training checks and tests graphs with
    assert cuda.asked == [[CPU], [CPU]]


def test_without_cuda_auto_takes_a_processor_and_gpu_is_refused(graph, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert OnnxRuntime(graph, 1, "auto")._session.get_providers() == [CPU]
    for device in ("gpu", "gpu:1"):
        with pytest.raises(UsageError) as caught:
            OnnxRuntime(graph, 1, device)
        assert str(caught.value) == (
            f"--device {device}: this onnxruntime cannot use a GPU. pip install onnxruntime-gpu in place of onnxruntime, "
            "or leave out --device."
        )


def test_cuda_that_does_not_start_is_told_where_it_is_asked_for(graph, cuda, monkeypatch):
    with pytest.raises(
        UsageError, match=r"--device gpu:2: CUDA does not start: CUDA failure 101: invalid device ordinal\."
    ):
        OnnxRuntime(graph, 1, "gpu:2")
    monkeypatch.setattr(cuda, "starts", (CPU,))  # onnxruntime goes on without it and says so in its log alone
    with pytest.raises(UsageError, match="its libraries or the driver are not found"):
        OnnxRuntime(graph, 1, "gpu")
    cuda.asked.clear()
    OnnxRuntime(graph, 1, "auto")
    assert cuda.asked[-1] == [CPU]
