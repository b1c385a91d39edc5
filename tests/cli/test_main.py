"""The command line's contract: streams, exit codes, help, completion. Each case is a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from forecaster.models.cells import CELLS
from tests.support.stored_models import stored, write_csv

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VERBS = (["train", "a.csv"], ["evaluate"], ["predict"])
COMMANDS = (
    [],
    ["train"],
    ["evaluate"],
    ["predict"],
    ["batch"],
    ["monitor"],
    ["schedule"],
    ["doctor"],
    ["models"],
    ["models", "list"],
    ["models", "show"],
    ["models", "rollback"],
    ["models", "prune"],
)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FORECASTER_")}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


class Shell:
    """Runs `forecaster`, with real verbs or with stubs."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(self, *arguments: str, stub: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        program = ["-m", "tests.support.stub_commands", stub] if stub else ["-m", "forecaster"]
        return subprocess.run(
            [sys.executable, *program, *arguments],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def shell(environment: dict[str, str]) -> Shell:
    return Shell(environment)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_quick_and_imports_nothing_heavy(command: list[str], environment: dict[str, str]) -> None:
    program = (
        "import sys\nfrom forecaster.cli.main import run\ncode = run(sys.argv[1:])\n"
        "heavy = {'numpy', 'pandas', 'tensorflow', 'keras', 'sklearn', 'rich', 'pydantic', 'onnxruntime'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else code)\n"
    )
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", program, *command, "--help"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage: forecaster" in done.stdout
        if times[-1] < 1.0:  # seconds of processor; a busy machine may need another try
            break
    assert min(times) < 1.0  # `make bench` measures, this only catches a heavy import by another name


def test_help_groups_options_and_lists_the_choices_of_the_tables(shell: Shell) -> None:
    text = shell("train", "--help-all").stdout
    assert "\nNetwork:\n" in text and f"--cell {'|'.join(('auto', *CELLS))}" in text and "--horizon N" in text
    assert "--from MODEL" in text and "--season-length N" in text


@pytest.mark.parametrize("command", VERBS, ids=" ".join)
def test_what_libraries_write_to_descriptor_2_is_shown_only_when_verbose(command: list[str], shell: Shell) -> None:
    done = shell(*command, stub="noise")
    assert done.returncode == 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]  # the verdict's
    assert said == ["a note", "test fit: epoch 1/10, loss 0.5, 3 s left"]
    assert "NOISE of a library in C++" in shell(*command, "--verbose", stub="noise").stderr


@pytest.mark.parametrize("command", VERBS, ids=" ".join)
def test_quiet_writes_nothing_to_stderr(command: list[str], shell: Shell) -> None:
    done = shell(*command, "--quiet", stub="noise")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


@pytest.mark.parametrize("command", VERBS, ids=" ".join)
def test_json_is_one_object_on_stdout_without_nan(command: list[str], shell: Shell) -> None:
    done = shell(*command, "--json", stub="fine")
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    if command != ["predict"]:
        assert found["model"] == "air" and found["windows"] == 4
        shown = {name: found["metrics"][name] for name in ("mae", "rmse", "smape", "mase")}
        assert shown == {"mae": 1.0, "rmse": 2.0, "smape": 3.0, "mase": None}
        assert found["baselines"]["seasonal naive"]["mae"] == 1.0


def test_train_prints_the_scores_and_where_the_model_is(shell: Shell) -> None:
    assert shell("train", "a.csv", stub="fine").stdout.splitlines() == [
        "                MAE  RMSE  sMAPE  MASE  WAPE  bias  RMSSE",
        "air@3 (gru)       1     2      3     -     -     -      -",
        "seasonal naive    1     2      3     -     -     -      -",
        "Tested on 4 windows.",
        "air@3 stored in models/air/3",
        "No error is defined over 4 windows. Next: forecaster predict --model air",
    ]


def test_verbose_adds_scores_per_step_and_per_series(shell: Shell) -> None:
    text = shell("evaluate", "--verbose", stub="fine").stdout
    assert "MASE at step" in text and "\nseries" in text


def test_a_bug_keeps_its_traceback_and_exits_1(shell: Shell) -> None:
    done = shell("predict", "--quiet", stub="bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and done.stderr.endswith("ZeroDivisionError: a bug\n")


def test_a_fault_is_one_line_and_exits_with_its_code(shell: Shell) -> None:
    done = shell("predict", "--quiet", stub="fault")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "error: a.csv:17: bad. Mend it.\n")


def test_a_glob_that_the_shell_has_replaced_by_its_files_is_explained(shell: Shell) -> None:
    done = shell("predict", "a.csv", "b.csv", "--quiet")
    assert done.returncode == 2 and "quote the glob: '*.csv'" in done.stderr


def test_too_few_files_are_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    done = subprocess.run(
        [sys.executable, "-m", "forecaster", "predict", "data.csv", "--quiet"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5)),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: too many files are open. Raise the limit of this process (ulimit -n).\n"


@pytest.mark.parametrize("stub", ["memory", "library memory"])
def test_too_little_memory_is_one_line(shell: Shell, stub: str) -> None:
    done = shell("predict", "--quiet", stub=stub)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: not enough memory. Give less data at once, take fewer threads, or raise the limit.\n"


@pytest.mark.parametrize("home", ["home", ""])
def test_keras_has_no_settings_and_leaves_none(tmp_path: Path, home: str) -> None:
    pytest.importorskip("keras")
    if home:
        (tmp_path / home / ".keras").mkdir(parents=True)
        (tmp_path / home / ".keras" / "keras.json").write_text('{"floatx": "float64", "backend": "none"}')
    before = sorted(tmp_path.rglob("*keras*"))
    program = "from forecaster.cli.main import keep_keras_from_home as keep; keep(); import keras; print(keras.config.floatx())"
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KERAS_MAX_EPOCHS": "x",
        "HOME": str(tmp_path / home) if home else "~",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "float32\n"), done.stderr
    assert sorted(tmp_path.rglob("*keras*")) == before


def test_an_interrupt_exits_130_without_a_traceback(shell: Shell) -> None:
    done = shell("predict", "--quiet", stub="interrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'"),
        (["train"], "Missing argument 'DATA'"),
        (["train", "a.csv", "--horizn", "3"], "No such option: --horizn"),
        (["train", "a.csv", "--horizon"], "--horizon"),
        (["train", "a.csv", "--horizon", "x"], "--horizon: 'x' is not a whole number."),
        (
            ["train", "a.csv", "--cell", "gro"],
            f"--cell: 'gro' is not one of auto, {', '.join(CELLS)}. Did you mean 'gru'?",
        ),
        (["train", "a.csv", "b.csv"], "b.csv"),
        (["predict", "--units", "3"], "No such option: --units"),
        (["predict", "--config", "no.toml"], "no.toml: cannot be read"),
        (["predict", "--quiet", "--verbose"], "--quiet and --verbose exclude each other."),
        (["models"], "Missing command"),
        (["models", "rollback", "a", "x"], "'x' is not a version."),
        (["models", "prune", "a", "--keep", "0"], "--keep: 0 is not at least 1."),
    ],
)
def test_wrong_usage_is_one_line_and_exits_2_also_in_json(arguments: list[str], message: str, shell: Shell) -> None:
    done = shell(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and message in done.stderr and done.stderr.count("\n") == 1
    done = shell(*arguments, "--json")
    assert done.returncode == 2
    if "Missing command" not in message:
        fault = json.loads(done.stderr)["error"]
        assert (fault["code"], fault["kind"]) == (2, "usage") and message.rstrip(
            "?"
        ) in f"{fault['message']} {fault['hint']}"


def test_json_and_another_format_on_stdout_exclude_each_other(shell: Shell) -> None:
    assert shell("predict", "--json", "--format", "csv", stub="fine").returncode == 2
    done = shell("predict", "--json", "--format", "csv", "--output", "a.csv", stub="fine")
    assert done.returncode == 0 and '"output": "a.csv"' in done.stdout


def test_flags_win_over_variables_and_variables_over_the_file(shell: Shell) -> None:
    Path("forecaster.toml").write_text("horizn = 3\n")
    assert "unknown key 'horizn'" in shell("predict", stub="fine").stderr
    Path("forecaster.toml").write_text("json = true\n")
    assert shell("evaluate", stub="fine").stdout.startswith("{")
    assert not shell("evaluate", stub="fine", FORECASTER_JSON="no").stdout.startswith("{")
    assert shell("evaluate", "--json", stub="fine", FORECASTER_JSON="no").stdout.startswith("{")
    assert shell("evaluate", stub="fine", FORECASTER_HORIZN="3").returncode == 2


def test_a_reader_that_has_seen_enough_ends_the_program_quietly(environment: dict[str, str]) -> None:
    program = (
        f"{sys.executable} -m tests.support.stub_commands long predict --quiet | head -n 1; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (141, "series,timestamp,prediction,source\n", "")


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-"])
def test_closed_descriptors_are_no_fault(closed: str, environment: dict[str, str]) -> None:
    program = f"{sys.executable} -m tests.support.stub_commands fine predict --quiet {closed}"
    done = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "series,timestamp,prediction,source\na,0,0.0,model\n", "")


def test_a_plain_locale_is_enough(shell: Shell) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = shell("models", "show", "Zürich", **plain)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert shell("train", "--help", **plain).returncode == 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("forecaster train --cell ", "\n".join(("auto", *CELLS))),
        ("forecaster train --cell l", "lstm"),
        ("forecaster predict --model ", "air\nsales"),
        ("forecaster predict --model air@", "air@1"),
        ("forecaster models show s", "sales"),
        ("forecaster tr", "train"),
    ],
)
def test_completion_knows_commands_cells_and_models(line: str, expected: str, shell: Shell) -> None:
    for name in ("air", "sales"):
        Path("models", name, "1").mkdir(parents=True)
    words = line.split() + ([""] if line.endswith(" ") else [])
    variables = {"_FORECASTER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    assert shell(**variables).stdout.strip() == expected


def test_completion_can_be_shown(shell: Shell) -> None:
    done = shell("--show-completion", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="")
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr
    source = shell(_FORECASTER_COMPLETE="source_bash").stdout
    assert "_FORECASTER_COMPLETE=complete_bash" in source


def test_the_version_is_printed(shell: Shell) -> None:
    import forecaster

    assert shell("--version").stdout == f"forecaster {forecaster.__version__}\n"


def test_the_help_has_what_most_people_need_and_examples_at_its_end(shell: Shell) -> None:
    short, whole = (shell("predict", word).stdout for word in ("--help", "--help-all"))
    assert "--horizon N" in short and "--safe-csv" not in short and "--help-all" in short and "--quiet" in short
    assert "--safe-csv" in whole and len(whole.splitlines()) > 1.5 * len(short.splitlines())
    assert "forecaster predict sales.csv --output forecast.csv" in short[short.index("Examples:") :]


def test_name_and_model_are_one_flag(shell: Shell) -> None:
    for words in (
        ["train", "a.csv", "--model", "b"],
        ["train", "a.csv", "--model=b"],
        ["predict", "a.csv", "--name", "b"],
    ):
        assert shell(*words, stub="fine").returncode == 0
    assert "No such option: --name" in shell("doctor", "--name", "b", stub="fine").stderr


def test_every_option_that_the_short_help_shows_is_an_option() -> None:
    from forecaster.cli.main import COMMANDS as VERBS
    from forecaster.config.option import options

    shown = [(one, name) for one in VERBS for name in one.needed.split()]
    assert [(one.name, name) for one, name in shown if name not in options(one.settings)] == [] and len(shown) > 50


def test_the_list_of_commands_cuts_no_sentence(shell: Shell) -> None:
    for words in (["--help"], ["models", "--help"]):
        listed = shell(*words).stdout.partition("Commands:")[2]
        assert "..." not in listed and "…" not in listed and listed.count(".\n") >= 7


def test_no_arguments_show_the_help(shell: Shell) -> None:
    assert shell().stdout == shell("--help").stdout


def test_models_are_listed_shown_rolled_back_and_pruned(shell: Shell) -> None:
    assert json.loads(shell("models", "list", "--json").stdout) == {"models": []}
    for version in ("1", "2", "3"):
        Path("models", "air", version).mkdir(parents=True)
        Path("models", "air", version, "manifest.json").write_text(json.dumps({"data": {"rows": int(version)}}))
    Path("models", "air", "current").write_text("3\n")
    listed = shell("models", "list").stdout.splitlines()[1]
    assert listed.split()[:2] == ["air", "3"] and "damaged" in listed and listed.endswith("1, 2, 3")
    assert shell("models", "show", "air").stdout.splitlines()[1].split() == ["data.rows", "3"]
    assert shell("models", "rollback", "air").stdout == "air@2 serves.\n"
    assert shell("models", "rollback", "air", "9").returncode == 4
    assert json.loads(shell("models", "prune", "air", "--keep", "1", "--json").stdout) == {
        "model": "air",
        "removed": [1],
    }


def test_parsing_a_command_imports_nothing_heavy(environment: dict[str, str]) -> None:
    program = (
        "import sys\nfrom forecaster.cli.typer_adapter import Invocation\nfrom forecaster.cli.main import _parse\n"
        "invocation = _parse(['predict', 'a.csv', '--horizon', '3', '--quiet'])\ninvocation.settle()\n"
        "heavy = {'numpy', 'pandas', 'tensorflow', 'keras', 'rich', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("broken", ["2> /dev/full", "2> >(true)", "2>&-"])
@pytest.mark.parametrize("job", ["predict", "fault", "batch"])
def test_a_stderr_that_cannot_be_written_costs_nothing(tmp_path: Path, broken: str, job: str) -> None:
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    (tmp_path / "jobs.toml").write_text(
        '[defaults]\nmodel = "m"\ndata = "data.csv"\nledger = "l.db"\n'
        '[jobs.bad]\ndata = "gone.csv"\noutput = "bad.csv"\n[jobs.one]\noutput = "out.csv"\n'
    )
    predict = "predict data.csv --model m --output out.csv --ledger l.db"
    words, code = {
        "predict": (predict, 0),
        "fault": (predict.replace("data.csv", "gone.csv"), 3),
        "batch": ("batch jobs.toml", 7),
    }[job]
    program = f"exec {sys.executable} -m forecaster {words} {broken}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert (tmp_path / "out.csv").exists() == (job != "fault")
