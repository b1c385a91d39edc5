"""Both distributions, each in an empty environment: forecasting works in both, training in one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from forecaster.config.resolve import parse_toml
from forecaster.errors import DISTRIBUTION, LIGHT_DISTRIBUTION
from tests.support.factories import AIR
from tests.test_predict_only import run_without

ROOT = Path(__file__).parent.parent
DOWNLOADS = pytest.mark.skipif(os.environ.get("ONLINE_TESTS") != "1", reason="downloads up to 700 MB")


def wheels_module():
    spec = importlib.util.spec_from_file_location("wheels", ROOT / "tools" / "wheels.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_light_distribution_needs_no_library_that_only_training_needs(tmp_path):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "light.toml").write_text(wheels_module().light_project(text), encoding="utf-8")
    whole = parse_toml(ROOT / "pyproject.toml", "whole")["project"]
    light = parse_toml(tmp_path / "light.toml", "light")["project"]
    assert (whole["name"], light["name"]) == (DISTRIBUTION, LIGHT_DISTRIBUTION)
    assert set(light["dependencies"]) < set(whole["dependencies"])
    assert not [
        one for one in light["dependencies"] if one.startswith(("tensorflow", "keras", "onnx>", "tf2onnx", "sci"))
    ]
    assert {name: whole["optional-dependencies"][name] for name in light["optional-dependencies"]} == light[
        "optional-dependencies"
    ]
    assert light["scripts"] == whole["scripts"]


def test_no_hint_or_page_tells_to_install_another_projects_distribution():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "forecaster").rglob("*.py")]
    wrong = (f"{'install'} forecaster\n", f"{'install'} forecaster`", "'forecaster[", "--no-deps forecaster")
    assert [(path.name, one) for path in pages for one in wrong if one in path.read_text(encoding="utf-8")] == []


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    wheels_module()
    subprocess.run([sys.executable, ROOT / "tools" / "wheels.py", folder], check=True)
    return folder


def installed(place, wheels, name, *extras):
    """The `forecaster` command of a new environment with one of the wheels."""
    venv.create(place, with_pip=True)
    (wheel,) = wheels.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    what = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    subprocess.run([place / "bin" / "python", "-m", "pip", "install", "--quiet", what], check=True)
    return place / "bin" / "forecaster"


def said(command, *words, cwd):
    return subprocess.run([command, *map(str, words)], capture_output=True, text=True, cwd=cwd)


@DOWNLOADS
@pytest.mark.slow
@pytest.mark.long
def test_the_light_wheel_predicts_the_same_numbers_and_says_what_training_needs(wheels, tmp_path, trained):
    program = installed(tmp_path / "env", wheels, LIGHT_DISTRIBUTION)
    size = sum(path.lstat().st_size for path in (tmp_path / "env").rglob("*"))
    assert size <= 320e6
    words = ("predict", AIR, "--models", trained[0], "--model", "air")
    done = said(program, *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, run_without((), *words).stdout)
    assert said(program, "predict", AIR, "--horizon", "12", cwd=tmp_path).returncode == 0
    train = said(program, "train", AIR, "--models", tmp_path / "models", cwd=tmp_path)
    assert (train.returncode, train.stderr.count("\n")) == (2, 1)
    assert f"pip install {DISTRIBUTION}`" in train.stderr


@DOWNLOADS
@pytest.mark.slow
@pytest.mark.long
def test_the_light_wheel_works_with_each_extra(wheels, tmp_path):
    program = installed(tmp_path / "env", wheels, LIGHT_DISTRIBUTION, "parquet", "holidays", "plot")
    words = ("predict", AIR, "--horizon", "12", "--output", "a.parquet", "--plot", "a.png")
    assert said(program, *words, cwd=tmp_path).returncode == 0
    assert all((tmp_path / name).stat().st_size for name in ("a.parquet", "a.png"))


@DOWNLOADS
@pytest.mark.slow
@pytest.mark.long
def test_the_whole_wheel_trains_and_predicts(wheels, tmp_path):
    program = installed(tmp_path / "env", wheels, DISTRIBUTION, "parquet", "holidays", "plot", "tune", "baselines")
    quick = ("--epochs", 1, "--steps-per-epoch", 2, "--members", 1, "--transform", "none", "--learning-rate", 0.01)
    trained = said(program, "train", AIR, "--horizon", 12, "--baselines", "all", *quick, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "theta" in trained.stdout
    done = said(program, "predict", cwd=tmp_path)
    assert (done.returncode, done.stdout.count("\n")) == (0, 13)
