"""Runtimes: want of memory is no damage of the graph."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.errors import ArtifactError
from forecaster.serving.runtime import OnnxRuntime
from tests.support.stored_models import stored

onnxruntime = pytest.importorskip("onnxruntime")


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
def test_want_of_memory_is_no_damage(tmp_path, monkeypatch, said, raised):
    stored(tmp_path)
    graph = tmp_path / "m" / "1" / "model.onnx"

    def refuse(*arguments, **options):
        raise RuntimeError(said)

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(raised):
        OnnxRuntime(graph)
    monkeypatch.setattr(Session, "said", said)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(raised):
        OnnxRuntime(graph).run(np.zeros((1, 24)))
