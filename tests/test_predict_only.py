"""A host without TensorFlow: prediction works, and what needs TensorFlow says what to install."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.factories import AIR

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
HEAVY = ("tensorflow", "keras", "tf2onnx", "onnx", "sklearn", "pyarrow")


def run_without(blocked: Sequence[str], *words: Any) -> subprocess.CompletedProcess[str]:
    """Run `forecaster WORDS…` in a process that cannot import the modules `blocked`."""
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({tuple(blocked)!r}))\n"
        "from forecaster.cli.main import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    return subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, cwd=ROOT)


def loaded_modules(*words: Any) -> tuple[int, set[str]]:
    """Run `forecaster WORDS…` in a process of its own: the exit code, and the packages that it has imported."""
    program = (
        "import sys\n"
        "from forecaster.cli.main import run\n"
        "code = run(sys.argv[1:])\n"
        "print(code, *sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, cwd=ROOT)
    code, *modules = done.stderr.splitlines()[-1].split()
    return int(code), set(modules)


def test_predict_loads_neither_tensorflow_nor_pandas_for_a_plain_file(trained):
    code, modules = loaded_modules("predict", AIR, "--models", trained[0], "--model", "air", "--quiet")
    assert code == 0
    assert "onnxruntime" in modules
    assert not modules & {*HEAVY, "pandas", "scipy", "pyarrow"}


def test_a_host_without_tensorflow_and_pandas_predicts_the_same_bytes(trained):
    words = ("predict", AIR, "--models", trained[0], "--model", "air")
    bare, full = run_without((*HEAVY, "pandas"), *words), run_without((), *words)
    assert (bare.returncode, bare.stdout) == (0, full.stdout)
    assert bare.stdout.startswith("series,timestamp,prediction")


@pytest.mark.parametrize("words", [("check", AIR), ("models", "list"), ("models", "show", "air")])
def test_a_host_without_tensorflow_runs_check_and_models(trained, words):
    options = () if words[0] == "check" else ("--models", trained[0])
    done = run_without(HEAVY, *words, *options)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize(
    "words", [("train", AIR), ("predict", AIR, "--runtime", "tensorflow", "--model", "air")], ids=["train", "runtime"]
)
def test_a_command_that_needs_tensorflow_says_in_one_line_what_to_install(trained, words, tmp_path):
    models = tmp_path if words[0] == "train" else trained[0]
    done = run_without(HEAVY, *words, "--models", models, "--quiet")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install forecaster-rnn" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_needs_pandas_says_so(trained, tmp_path):
    quoted = tmp_path / "quoted.csv"
    quoted.write_text(AIR.read_text().replace("1949-01,", '"1949-01",'))
    done = run_without((*HEAVY, "pandas"), "predict", quoted, "--models", trained[0], "--model", "air")
    assert done.returncode == 2
    assert "pip install pandas" in done.stderr
