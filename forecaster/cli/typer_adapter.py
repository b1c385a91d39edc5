"""Typer commands made from settings classes, so that no option is declared twice."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Optional, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup

from forecaster.config import FILE, CommonSettings, StoreSettings
from forecaster.config import resolve as config
from forecaster.config.option import Option, flag, names_in, options, twin
from forecaster.errors import ForecasterError, UsageError

Do: TypeAlias = Callable[..., None]  # takes the settings, the console, and each argument by name

METAVARS = {
    "text": "TEXT",
    "data": "TEXT",
    "int": "N",
    "steps": "N",
    "float": "X",
    "bool": "",
    "duration": "DURATION",
    "margin": "[MARGIN]",
    "quantiles": "LEVEL,…",
    "columns": "NAME,…",
    "function": "MODULE:FUNCTION",
    "ramp": "FIRST..LAST",
}
EPILOG = (
    f"Every option can also be set by a variable ({config.PREFIX}HORIZON=28) or in {FILE} (horizon = 28). "
    "The command line has precedence over the variable, and the variable over the file."
)


@dataclass(frozen=True)
class Argument:
    """A positional argument."""

    name: str
    help: str
    required: bool = False
    model: bool = False  # names a stored model, for completion


DATA = Argument(
    "data", "CSV or Parquet file or folder, URL of one or of a database, or - for standard input.", required=True
)


@dataclass(frozen=True)
class Command:
    """A command: its name, its options and its function `do`, whose docstring is the help."""

    name: str
    settings: type
    do: Do
    arguments: tuple[Argument, ...] = ()
    hush: bool = False  # runs libraries that log to stderr from C++
    needed: str = ""  # the options that --help shows, separated by spaces; empty = all. --help-all shows all
    examples: tuple[str, ...] = ()  # shown at the end of the help


@dataclass(frozen=True)
class Invocation:
    """A parsed command line."""

    command: Command
    given: dict[str, Any]  # options and arguments: text, True or False; None = not given

    def settle(self) -> tuple[Any, CommonSettings]:
        """The command's settings and the common ones, from flags, variables and the file. UsageError for wrong values."""
        file = config.load_toml(self.given["config"] or os.environ.get(f"{config.PREFIX}CONFIG"))
        common = config.resolve(CommonSettings, self.given, os.environ, file, self.command.name)
        return config.resolve(self.command.settings, self.given, os.environ, file, self.command.name), common

    def arguments(self) -> dict[str, str | None]:
        """The positional arguments by name; None = not given."""
        return {argument.name: self.given[argument.name] for argument in self.command.arguments}


def add(app: typer.Typer, command: Command, *, parses: bool, whole_help: bool = False) -> None:
    """Add `command` to `app`; with its options only where it `parses` them. Calling it returns an `Invocation`.

    The help has the options that most people need, or all with `whole_help`.
    """

    def callback(**given: Any) -> Invocation:
        return Invocation(command, given)

    parameters = _parameters(command) if parses else []
    # Typer reads the signature and the annotations: both are made from the options.
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    sections = type(
        "Sections",
        (SectionedCommand,),
        {"shown": () if whole_help else tuple(command.needed.split()), "examples": command.examples},
    )
    app.command(command.name, cls=sections, help=command.do.__doc__, epilog=EPILOG)(callback)


def _parameters(command: Command) -> list[inspect.Parameter]:
    parameters = [_argument(argument) for argument in command.arguments]
    for settings in (command.settings, CommonSettings):
        parameters += [_parameter(name, item, settings) for name, item in options(settings).items()]
    return parameters


@dataclass(frozen=True)
class _Plain:
    """A parameter's `process_value` that passes text and booleans on as they are.

    `config` converts them. Typer would convert them with pydantic, which every command would then import.
    """

    parameter: Any
    convert: Callable[[Any, Any], Any]

    def __call__(self, ctx: Any, value: Any) -> Any:
        missing = value is None and self.parameter.required
        if missing or not isinstance(value, (str, bool, type(None))):
            return self.convert(ctx, value)
        return self.parameter.callback(ctx, self.parameter, value) if self.parameter.callback else value


def _leave_text(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if not isinstance(parameter.process_value, _Plain):
            parameter.process_value = _Plain(parameter, parameter.process_value)
    return parameters


class Group(TyperGroup):
    """A group of commands that leaves the conversion of values to `config`."""

    def get_params(self, ctx: Any) -> Any:
        """Its options, --help among them."""
        return _leave_text(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the first sentence of each command's help, whole."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, _first_sentence(command.help or "")) for name, command in found if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first_sentence(text: str) -> str:
    whole = " ".join(text.split())
    end = whole.find(". ")
    return whole if end < 0 else whole[: end + 1]


class SectionedCommand(TyperCommand):
    """A command that shows its options under headings and leaves the conversion of values to `config`."""

    shown: tuple[str, ...] = ()  # fields of the options in the help; () = all
    examples: tuple[str, ...] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the command line. An option whose metavar is in brackets may stand without a value."""
        known = {flag: one.metavar or "" for one in self.get_params(ctx) for flag in one.opts}
        args = [_known_twin(word, known) for word in args]
        optional = {flag: metavar for flag, metavar in known.items() if metavar.startswith("[")}
        lists = {flag for flag, metavar in known.items() if metavar == METAVARS["columns"]}
        return super().parse_args(ctx, _joined(_with_values(args, optional), lists))

    def get_params(self, ctx: Any) -> Any:
        """Its options and arguments, --help among them."""
        return _leave_text(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section per heading: arguments first, the common options last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        common = {*options(CommonSettings), "help"}
        left_out = 0
        for parameter in self.get_params(ctx):
            if self.shown and parameter.param_type_name == "option" and parameter.name not in {*self.shown, *common}:
                left_out += 1
                continue
            if ":" in (parameter.metavar or ""):  # looked up only for help: the tables are in other modules
                parameter.metavar = "|".join(names_in(tuple(parameter.metavar.split())))
            heading = "Arguments" if parameter.param_type_name == "argument" else _heading(parameter)
            if record := parameter.get_help_record(ctx):
                sections.setdefault(heading, []).append(record)
        sections["Options"] = sections.pop("Options")
        if left_out:
            sections["Options"].append(("--help-all", f"Show {left_out} more options, and exit."))
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, a line each, then the note on variables and files."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)


def _known_twin(word: str, known: Mapping[str, str]) -> str:
    """`--model` for `--name` and the other way round, where only that is a flag of the command."""
    written, equals, value = word.partition("=")
    other = f"--{twin(written.removeprefix('--'))}"
    return f"{other}{equals}{value}" if written.startswith("--") and written not in known and other in known else word


def _with_values(arguments: list[str], optional: Mapping[str, str]) -> list[str]:
    """`arguments` with a value after each flag that may stand without one: 0 for a margin, yes for one of some names.

    `optional`: flag -> metavar. `--no-flag` is the flag and no, where it takes names.
    """
    full: list[str] = []
    for here, after in zip_longest(arguments, arguments[1:], fillvalue=""):
        turned = here.replace("--no-", "--", 1) if here.startswith("--no-") else ""
        if here in optional and optional[here] == METAVARS["margin"]:
            full += [here] if after.replace(".", "", 1).isdigit() else [here, "0"]
        elif here in optional:
            full += [here] if after in optional[here][1:-1].split("|") else [here, "yes"]
        elif turned in optional and optional[turned] != METAVARS["margin"]:
            full += [turned, "no"]
        else:
            full.append(here)
    return full


def _joined(arguments: list[str], lists: set[str]) -> list[str]:
    """`arguments` in which a flag of `lists` that is given several times is given once, its values joined: `a,b`."""
    values: dict[str, list[str]] = {}
    left: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            left += [word, *words]
            break
        name, is_joined, value = word.partition("=")
        if name not in lists:
            left.append(word)
            continue
        found = value if is_joined else next(words, None)
        if found is None:
            left.append(word)  # Typer refuses it
        else:
            values.setdefault(name, []).append(found)
    return [*(part for name, found in values.items() for part in (name, ",".join(found))), *left]


def _heading(parameter: Any) -> str:
    return getattr(parameter, "rich_help_panel", None) or "Options"


def _argument(argument: Argument) -> inspect.Parameter:
    info = typer.Argument(
        ... if argument.required else None,
        help=argument.help,
        metavar=argument.name.upper(),
        show_default=False,
        autocompletion=_complete_models if argument.model else None,
    )
    return _keyword(argument.name, info, str)


def _parameter(name: str, known: Option, settings: type) -> inspect.Parameter:
    default = getattr(settings, name)
    declaration = flag(name, known)
    if known.kind == "bool" and settings is not CommonSettings:
        declaration += f"/--no-{declaration[2:]}"
    shown = "" if default in (None, ()) or isinstance(default, bool) else f" (default: {_shown(default)})"
    info = typer.Option(
        None,
        declaration,
        help=known.help + shown,
        metavar=_metavar(known),
        show_default=False,
        rich_help_panel=known.panel,
        autocompletion=_completion(known),
    )
    return _keyword(name, info, bool if known.kind == "bool" else str)


def _keyword(name: str, info: Any, kind: type) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=Optional[kind])  # noqa: UP045


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _metavar(known: Option) -> str | None:
    if known.kind == "fallback":
        return f"[{'|'.join(known.choices)}]"
    if any(":" in item for item in known.choices):
        return " ".join(known.choices)
    return "|".join(known.choices) or METAVARS.get(known.kind, known.kind.upper()) or None


def _completion(known: Option) -> Callable[[str], list[str]] | Callable[[typer.Context, str], list[str]] | None:
    if known.kind == "model":
        return _complete_models
    if not known.choices:
        return None
    return lambda incomplete: [name for name in names_in(known.choices) if name.startswith(incomplete)]


def _complete_models(ctx: typer.Context, incomplete: str) -> list[str]:
    from forecaster.serving.store import Store

    try:
        file = config.load_toml(ctx.params.get("config"))
        given = {"models": ctx.params.get("models")}
        store = Store(Path(config.resolve(StoreSettings, given, os.environ, file, "").models))
        name, at, _ = incomplete.partition("@")
        found = [f"{name}@{version}" for version in store.versions(name)] if at else list(store.names())
    except ForecasterError:  # completion cannot show an error
        return []
    return [item for item in found if item.startswith(incomplete)]


def usage_error(fault: Exception) -> UsageError:
    """Typer's error about a command line as a UsageError. `fault` has `format_message`, and may have `ctx`."""
    context = getattr(fault, "ctx", None)
    path = context.command_path if context else "forecaster"
    said: str = fault.format_message()  # type: ignore[attr-defined]
    hint = f"See `{path} --help`."
    if "unexpected extra argument" in said:  # what the shell makes of an unquoted glob
        hint = f"To read many files name their folder, or quote the glob: '*.csv'. {hint}"
    return UsageError(said, hint)
