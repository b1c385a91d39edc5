"""What doctor finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from forecaster.commands import doctor
from forecaster.config import StoreSettings


@pytest.mark.parametrize(
    ("cuda", "driver", "visible", "reason"),
    [
        (True, False, None, "no NVIDIA driver"),
        (True, True, "-1", "CUDA_VISIBLE_DEVICES='-1' hides it"),
        (True, True, "", "CUDA_VISIBLE_DEVICES='' hides it"),
        (False, True, "0", "built without CUDA"),
        (True, True, None, "does not find the CUDA libraries"),
    ],
)
def test_why_no_gpu_is_used_names_the_first_cause(
    cuda: bool, driver: bool, visible: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert reason in doctor.why_no_gpu(cuda, driver)


def test_cells_with_kernels_of_cudnn_are_told_and_so_is_what_mixed_precision_gives() -> None:
    fast, slow = doctor.cudnn_cells()
    assert fast == "lstm, gru"
    assert slow == ("a GPU runs step by step: rnn, gru with --no-reset-after, and every cell with --recurrent-dropout")
    assert doctor.mixed_precision(False)[0] == "does not help"
    assert doctor.mixed_precision(True)[0] == "may help"


def test_every_topic_is_there_also_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = doctor.to_json(doctor.doctor(StoreSettings(models=str(tmp_path / "models"))))
    assert found.keys() == {"versions", "devices", "threads", "store"}
    assert "tensorflow is not installed" in found["devices"][1]["note"]
    assert {"name": "OMP_NUM_THREADS", "value": "3", "note": "set in the environment"} in found["threads"]
    assert found["store"][0]["note"] == "made by the first train"


def test_a_store_without_a_serving_version_is_a_finding_not_a_failure(tmp_path: Path) -> None:
    (tmp_path / "air" / "1").mkdir(parents=True)
    rows = list(doctor._store(tmp_path))
    assert rows[-1].name == "fault" and "air" in rows[-1].value
    (tmp_path / "sea" / "1").mkdir(parents=True)
    (tmp_path / "sea" / "current").write_text("1\n")
    assert [row.name for row in doctor._store(tmp_path)][-2:] == ["fault", "sea"]
    shutil.rmtree(tmp_path / "sea")
    (tmp_path / "air" / "current").write_text("1\n")
    assert list(doctor._store(tmp_path))[-1] == doctor.Finding("store", "air", "@1 serves", "1 version")


@pytest.mark.slow
def test_devices_are_listed_by_tensorflow() -> None:
    pytest.importorskip("tensorflow")
    assert [row.name for row in doctor._devices()] == ["cpu", "gpu", "predict on a gpu", "cudnn", "mixed precision"]
