"""The command line: parse, run one command, print, exit. The options come from the settings classes of `config`."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from forecaster.cli import model_commands, operation_commands, search_commands
from forecaster.cli.console import Console
from forecaster.cli.file_descriptors import drop_stdout, fill_closed, hushed
from forecaster.cli.typer_adapter import DATA, Argument, Command, Group, Invocation, add, usage_error
from forecaster.config import (
    CheckSettings,
    EvaluateSettings,
    ExplainSettings,
    PredictSettings,
    StoreSettings,
    TrainSettings,
)
from forecaster.config.resolve import PREFIX, unknown_variables
from forecaster.errors import ForecasterError, NoMemoryError, UsageError
from forecaster.storage.addresses import shown
from forecaster.storage.files import UNLOCKED
from forecaster.version import __version__

if TYPE_CHECKING:
    from forecaster.evaluation.report import Report

INTERRUPTED = 130  # 128 + SIGINT
PIPE_CLOSED = 141  # 128 + SIGPIPE, as other programs end before `| head`
COMPLETION = "_FORECASTER_COMPLETE"  # the variable by which a shell asks for completion, as Typer names it
HELP_ALL = "--help-all"  # --help with every option
# What the loader of libraries and libraries in C++ say.
NO_MEMORY = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory", "std::bad_alloc")
YES = ("1", "true", "yes", "on")


def main() -> None:
    """The `forecaster` command. Ends the process with the exit code that `run` returns."""
    fill_closed()
    keep_keras_from_home()
    sys.exit(run(sys.argv[1:]))


def keep_keras_from_home() -> None:
    """Have Keras neither read nor write settings in the home directory, which without HOME it makes where it runs."""
    for name in [name for name in os.environ if name.startswith("KERAS_")]:
        del os.environ[name]
    os.environ |= {"KERAS_HOME": os.devnull, "KERAS_BACKEND": "tensorflow"}


def run(argv: list[str]) -> int:
    """Run a command line and return its exit code: 0, or that of an error class of `errors`. Only bugs raise."""
    console = Console(json="--json" in argv or os.environ.get(f"{PREFIX}JSON", "").lower() in YES)
    try:
        parsed = _parse(argv or ["--help"])
        return parsed if isinstance(parsed, int) else _do(parsed)
    except ForecasterError as error:
        console.error(error)
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_stdout()
        return PIPE_CLOSED
    except FileNotFoundError:
        if _has_working_folder():
            raise
        console.error(UsageError("the working directory was deleted.", "Change into a folder that exists."))
        return UsageError.code


def _has_working_folder() -> bool:
    """Whether relative paths lead anywhere."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _shortage(error: Exception) -> ForecasterError | None:
    """The error of one line, where the system or a limit of this process refused memory or a file."""
    number = getattr(error, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE):
        return UsageError("too many files are open.", "Raise the limit of this process (ulimit -n).")
    refused = isinstance(error, ImportError) and any(text in str(error) for text in NO_MEMORY)
    if isinstance(error, MemoryError) or number == errno.ENOMEM or refused:
        return NoMemoryError("not enough memory.", "Give less data at once, take fewer threads, or raise the limit.")
    return None


def _do(invocation: Invocation) -> int:
    settings, common = invocation.settle()
    hush = invocation.command.hush and not common.verbose
    with hushed() if hush else nullcontext():
        with Console(quiet=common.quiet, json=common.json, verbose=common.verbose) as console:
            try:
                for name in unknown_variables(os.environ):
                    console.note(f"{name} is ignored: no option has this name.")
                invocation.command.do(settings, console, **invocation.arguments())
            except ForecasterError as error:
                console.error(error)
                return error.code
            except (MemoryError, OSError, ImportError) as error:
                if (shortage := _shortage(error)) is None:
                    raise
                console.error(shortage)
                return shortage.code
            finally:
                if UNLOCKED:
                    console.warn(f"{UNLOCKED[0]}: there are no file locks here; let only one run at a time write it")
                    UNLOCKED.clear()
        if sys.stdout:
            sys.stdout.flush()  # here, where a closed pipe is still caught
    return 0


def _parse(argv: list[str]) -> Invocation | int:
    """The command that a command line calls; or only an exit code, as after --help."""
    whole_help = HELP_ALL in argv
    words = ["--help" if word == HELP_ALL else word for word in argv]
    try:
        found = typer.main.get_command(_app(words, whole_help)).main(
            words, prog_name="forecaster", standalone_mode=False
        )
    except Exception as fault:
        if not hasattr(fault, "format_message"):  # Typer exports no common class for its faults
            raise
        raise usage_error(fault) from None
    return found if isinstance(found, (Invocation, int)) else 0


def _app(argv: list[str], whole_help: bool) -> typer.Typer:
    # Declaring the options of all commands takes longer than parsing one command's: only those that may run get theirs.
    def parses(command: Command) -> bool:
        return command.name in argv or COMPLETION in os.environ

    # rich_markup_mode=None: Typer's rich help takes longer than the rest of --help.
    app = typer.Typer(cls=Group, help="Recurrent-network forecasting from CSV files.", rich_markup_mode=None)
    app.callback()(_root)
    for command in COMMANDS:
        add(app, command, parses=parses(command), whole_help=whole_help)
    models = typer.Typer(
        name="models",
        cls=Group,
        help="List, show, roll back, prune, delete, export and import stored models.",
        rich_markup_mode=None,
    )
    for command in model_commands.COMMANDS:
        add(models, command, parses=parses(command), whole_help=whole_help)
    app.add_typer(models)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        Console().line(f"forecaster {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_print_version, is_eager=True),
) -> None:
    pass


def _train(settings: TrainSettings, console: Console, data: str) -> None:
    """Select and fit networks, compare them with baselines on test windows, and store them as a new version of a model."""
    from forecaster.cli.result_tables import contribution_table
    from forecaster.commands.train_together import Part, train_as_told

    done = train_as_told(data, settings, console, os.environ)
    if isinstance(done, Part):
        console.result(done.to_json()) if console.json else console.line(done.sentence)
        return
    if console.verbose:
        from forecaster.serving.plan_rows import plan_lines

        for line in plan_lines(done.plan):
            console.note(line)
    if console.json:
        console.result(done.to_json())
    else:
        if done.report:
            _print_report(done.report, console)
        if done.contributions:
            console.line()
            console.table(*contribution_table(done))
        console.line(f"{done.model}@{done.version} stored in {done.path}")
    _print_verdict(done.report, console, " ".join(filter(None, (done.added, done.next_step))), done.warning)
    done.refuse_unpromoted()


def _evaluate(settings: EvaluateSettings, console: Console, data: str | None) -> None:
    """Compare a stored model with the baselines on test windows at the end of the data."""
    from forecaster.commands.evaluate import evaluate

    report = evaluate(data, settings, console)
    if console.json:
        console.result(report.to_json())
    else:
        _print_report(report, console)
    _print_verdict(report, console)


def _print_verdict(report: Report | None, console: Console, next_step: str = "", more: str = "") -> None:
    """What the test says, and a warning where it says that a simple forecast is better, or nothing at all."""
    from forecaster.evaluation.verdict import verdict_of

    found = verdict_of(report)
    for warning in filter(None, (found.warning, more)):
        console.warn(warning)
    if not console.json:
        console.line(" ".join(filter(None, (found.sentence, next_step))))


def _explain(settings: ExplainSettings, console: Console, data: str | None) -> None:
    """Show how much each input, and each stretch of the context, changes a stored model's forecasts."""
    from forecaster.cli.result_tables import effect_table
    from forecaster.commands.explain import explain

    if settings.memory:
        _explain_memory(settings, console, data)
        return
    found = explain(data, settings, console)
    if console.json:
        console.result(found.to_json())
    else:
        console.table(*effect_table(found))
        console.line(f"{found.windows} windows, MASE {found.mase:.4g}: {found.judged_on}.")


def _explain_memory(settings: ExplainSettings, console: Console, data: str | None) -> None:
    from forecaster.cli.result_tables import memory_table
    from forecaster.commands.explain_memory import explain_memory

    found = explain_memory(data, settings, console)
    if console.json:
        console.result(found.to_json())
    else:
        console.table(*memory_table(found.networks))


def _print_report(report: Report, console: Console) -> None:
    from forecaster.cli.result_tables import interval_table, score_table, series_table, step_table

    console.table(*score_table(report))
    if report.intervals:
        console.line()
        console.table(*interval_table(report))
    if console.verbose:
        for rows in (step_table(report), series_table(report)):
            console.line()
            console.table(*rows)
    console.line(f"Tested on {report.judged_on}.")
    if report.calibrated:
        console.line(f"Quantiles calibrated: {report.calibrated}.")


def _predict(settings: PredictSettings, console: Console, data: str | None) -> None:
    """Forecast the steps after each series' last row."""
    to_stdout = settings.output == "-"
    if console.json and to_stdout and settings.format not in (None, "json"):
        raise UsageError(f"--json and --format {settings.format} exclude each other.", "Keep one, or give --output.")
    plot_is_result = not to_stdout and not console.json
    if settings.plot == "-" and console.quiet and not plot_is_result:
        raise UsageError("--plot - has no effect with --quiet: stdout carries the forecast.", "Give --output FILE.")
    if settings.output.endswith("/"):
        _predict_groups(settings, console, data)
        return
    from forecaster.commands.predict import deliver, refuse_failed

    made = deliver(data, settings, console, "json" if console.json and to_stdout else settings.format)
    forecast = made.forecast
    if console.json and not to_stdout:
        console.result({"output": shown(settings.output), **forecast.metadata()})
    if settings.plot == "-":
        from forecaster.plotting.forecast_plot import in_terminal

        console.drawing(partial(in_terminal, made, settings.plot_series), result=plot_is_result)
    if forecast.about:
        refuse_failed(forecast.about.failed, len(forecast.series))


def _predict_groups(settings: PredictSettings, console: Console, data: str | None) -> None:
    from forecaster.commands.predict import refuse_failed
    from forecaster.commands.predict_groups import predict_groups

    done = predict_groups(data, settings, console, settings.format)
    if console.json:
        console.result(done.to_json())
    else:
        console.note(f"{done.series:,} series, {done.rows:,} rows in {done.files} files of {done.output}")
    done.refuse_lost()
    refuse_failed(done.failed, done.series)


def _check(settings: CheckSettings, console: Console, data: str) -> None:
    """Show every fault in the data and its remedy, a summary of the data, and whether the data still fits a model."""
    from forecaster.cli.result_tables import fault_table, match_table, summary_table
    from forecaster.commands.check import check

    report = check(data, settings, console)
    if console.json:
        console.result(report.to_json())
    else:
        if report.checked.faults:
            console.table(*fault_table(report))
            console.line()
        console.table(*summary_table(report))
        if report.matches:
            console.line()
            console.table(*match_table(report))
    report.refuse_faults()


def _doctor(settings: StoreSettings, console: Console) -> None:
    """Show versions, devices (and why a GPU is not used), threads and the model store."""
    from forecaster.commands.doctor import doctor, to_json

    rows = doctor(settings)
    if console.json:
        console.result(to_json(rows))
    else:
        console.table(["about", "what", "found", "note"], [[row.topic, row.name, row.value, row.note] for row in rows])


SEEN_DATA = Argument(
    "data",
    "CSV or Parquet file or folder, URL of one or of a database, or - for standard input (default: that of the training).",
)
COMMANDS = (
    Command(
        "train",
        TrainSettings,
        _train,
        (DATA,),
        hush=True,
        needed=(
            "models name horizon series timestamp target freq season_length zone known past static "
            "holidays events cell quantiles min max integer windows baselines members preset "
            "promote_if_better require_better_than keep seed since until threads"
        ),
        examples=(
            "forecaster train sales.csv --horizon 28",
            "forecaster train shops.csv --series shop --target sales --known price,promotion --horizon 14",
            "forecaster train sales.csv --cell lstm --quantiles 0.025,0.5,0.975 --min 0 --name sales-wide",
        ),
    ),
    Command(
        "evaluate",
        EvaluateSettings,
        _evaluate,
        (SEEN_DATA,),
        hush=True,
        needed="models model horizon windows baselines report output refit threads",
        examples=(
            "forecaster evaluate --model sales --baselines all --report sales.html",
            "forecaster evaluate newer.csv --model sales",
            "forecaster evaluate sales.csv --model pretrained --horizon 28",
        ),
    ),
    Command(
        "explain", ExplainSettings, _explain, (SEEN_DATA,), hush=True, examples=("forecaster explain --model kiosks",)
    ),
    Command(
        "predict",
        PredictSettings,
        _predict,
        (SEEN_DATA,),
        hush=True,
        needed=(
            "models model horizon quantiles future output format fallback plot plot_series as_of "
            "max_age ledger samples wait"
        ),
        examples=(
            "forecaster predict sales.csv --horizon 28                   before any training",
            "forecaster predict sales.csv --output forecast.csv --plot forecast.png",
            "forecaster predict sales --as-of 2024-03-31                 a stored model, as of then",
        ),
    ),
    Command("check", CheckSettings, _check, (DATA,)),
    *search_commands.COMMANDS,
    *operation_commands.COMMANDS,
    Command("doctor", StoreSettings, _doctor, hush=True),
)
