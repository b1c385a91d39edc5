"""Defines an option and reads its value: from text (flags, variables) or already typed (TOML, Python)."""

from __future__ import annotations

import ast
import csv
import importlib
import importlib.util
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from forecaster.errors import UsageError, nearest

PINBALL = "pinball:"  # a loss with a level, as `pinball:0.7`

Value: TypeAlias = str | int | float | bool | tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """One field of a settings class, apart from its name and default."""

    help: str
    panel: str  # heading in --help
    kind: str  # a row of READERS
    choices: tuple[str, ...]  # names, or "module:table" for the names in a table; () = free
    bounds: str  # an interval, e.g. "[0, 1)"; empty = none
    flag: str  # without dashes in front; empty = the field's name


def option(
    default: object,
    help: str,
    panel: str = "Options",
    *,
    kind: str = "text",
    choices: tuple[str, ...] = (),
    bounds: str = "",
    flag: str = "",
) -> Any:
    """A dataclass field that carries an `Option`."""
    return field(default=default, metadata={"option": Option(help, panel, kind, choices, bounds, flag)})


MAX_STEPS = 100_000  # of a horizon: more would not fit into memory, or into the calendar


def switch(default: bool | None, help: str, panel: str = "Options") -> Any:
    """An option that is on or off."""
    return option(default, help, panel, kind="bool")


def count(help: str, panel: str) -> Any:
    """An optional whole number, at least 1."""
    return option(None, help, panel, kind="int", bounds="[1, inf)")


def steps(help: str, panel: str) -> Any:
    """An optional number of steps ahead, from 1 to MAX_STEPS."""
    return option(None, help, panel, kind="steps", bounds="[1, inf)")


def choice(default: str | None, choices: str, help: str, panel: str = "Options") -> Any:
    """One of some names: `choices` are names and "module:table" references, separated by spaces."""
    return option(default, help, panel, kind="choice", choices=tuple(choices.split()))


def options(settings: type) -> dict[str, Option]:
    """The options of a settings class, by field."""
    return {item.name: item.metadata["option"] for item in fields(settings) if "option" in item.metadata}


def spelling(name: str, known: Option) -> str:
    """The option's public name, with underscores: `start_from` is spelt `from`."""
    return (known.flag or name).replace("-", "_")


def flag(name: str, known: Option) -> str:
    """The option's flag: `--season-length`."""
    return "--" + (known.flag or name).replace("_", "-")


def twin(name: str) -> str:
    """`model` for `name`, `name` for `model`: commands that store a model and that read one take both words; else `name`."""
    return {"name": "model", "model": "name"}.get(name, name)


def names_in(choices: tuple[str, ...]) -> tuple[str, ...]:
    """The names that may be chosen, tables looked up. No heavy library is imported."""
    names: dict[str, None] = {}
    for item in choices:
        module, _, table = item.partition(":")  # `MODULE:FUNCTION` is no table: the user gives both
        is_table = table and module.startswith("forecaster.")
        names.update(dict.fromkeys(_table_names(module, table) if is_table else (item,)))
    return tuple(names)


def _table_names(module: str, table: str) -> tuple[str, ...]:
    """The keys of a table, read from its module's source: help and completion must not wait for the module's imports."""
    spec = None if module in sys.modules else importlib.util.find_spec(module)
    if spec and spec.origin:
        for node in ast.parse(Path(spec.origin).read_bytes()).body:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=rows) | ast.Tuple(elts=rows))
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=rows) | ast.Tuple(elts=rows))
                ) if name == table:
                    return tuple(ast.literal_eval(row) for row in rows if row)
    return tuple(getattr(importlib.import_module(module), table))


def parse_duration(text: str) -> float:
    """Seconds in `300`, `90s`, `5m`, `2h`, `1h30m` or `2d`. UsageError for anything else."""
    number = r"\d+(?:\.\d+)?"
    found = re.fullmatch(rf"(?:({number})d)?(?:({number})h)?(?:({number})m)?(?:({number})s?)?", text.strip().lower())
    if not found or not any(found.groups()):
        raise UsageError(f"'{text}' is not a duration.", "Expected e.g. 300, 90s, 5m or 1h30m.")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 86_400 * days + 3600 * hours + 60 * minutes + seconds


def read(known: Option, value: object, label: str, *, text: bool) -> Value:
    """The checked value of an option. `text`: it comes from a flag or a variable, so `12` means the number.

    Errors (UsageError) begin with `label`, the option as the caller wrote it.
    """
    try:
        typed = FROM_TEXT.get(known.kind, str)(value) if text and isinstance(value, str) else value
        found = READERS[known.kind](typed)
    except UsageError as error:
        raise UsageError(f"{label}: {error.message}", error.hint) from None
    if known.choices:
        allowed = names_in(known.choices)
        for one in found if isinstance(found, tuple) else (found,):
            with_level = known.kind == "loss" and str(one).startswith(PINBALL)
            numbered = known.kind == "device" and re.fullmatch(r"gpu:[0-9]{1,3}", str(one))
            if one not in allowed and not isinstance(one, bool) and not with_level and not numbered:
                raise UsageError(f"{label}: '{one}' is not one of {', '.join(allowed)}.", _guess(str(one), allowed))
    if known.bounds and not _inside(found, known.bounds):  # type: ignore[arg-type]
        raise UsageError(f"{label}: {value} is not {range_in_words(known.bounds)}.")
    return found


def range_in_words(bounds: str) -> str:
    """The interval in words: `[1, inf)` is "at least 1"."""
    low = bounds[1:].split(",")[0]
    if not bounds.endswith("inf)"):
        return f"in {bounds}"
    return f"at least {low}" if bounds[0] == "[" else f"above {low}"


def _guess(word: str, allowed: tuple[str, ...]) -> str:
    guess = nearest(word, allowed)
    return guess if guess.startswith("Did") else ""  # the message already lists the names


def _inside(value: float, bounds: str) -> bool:
    low, high = (float(end) for end in bounds[1:-1].split(","))
    above = value >= low if bounds[0] == "[" else value > low
    below = value <= high if bounds[-1] == "]" else value < high
    return above and below  # False for NaN


def _text(value: object) -> Value:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{value!r} is not a name.")
    return value


def _time(value: object) -> Value:
    """A time or a step as a text: also a date, as TOML has them, a datetime, pandas' included, or a whole number."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str) or not value:
        raise UsageError(f"{value!r} is no timestamp.", "Expected e.g. 2020, 2020-03 or 2020-03-15.")
    return value


def _data(value: object) -> Value:
    """A path; from Python also a data frame."""
    return value if hasattr(value, "columns") else _text(str(value) if isinstance(value, Path) else value)  # type: ignore[return-value]


def _whole(value: object) -> Value:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    raise UsageError(f"{value!r} is not a whole number.")


def _steps(value: object) -> Value:
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) > MAX_STEPS:
        raise UsageError(f"no horizon has more than {MAX_STEPS:,} steps.")
    return _whole(value)


def _number(value: object) -> Value:
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise UsageError(f"{value!r} is not a number.")


def _truth(value: object) -> Value:
    if isinstance(value, bool):
        return value
    raise UsageError(f"{value!r} is neither true nor false.")


def _seconds(value: object) -> Value:
    return parse_duration(value) if isinstance(value, str) else _number(value)


def _margin(value: object) -> Value:
    """A share; True, as a TOML file may write it, means 0."""
    return 0.0 if value is True else _number(value)


def _fallback(value: object) -> Value:
    """A name, or whether there is to be one at all; False for no."""
    return value if isinstance(value, bool) else _text(value)


def _lowest(value: object) -> Value:
    """A number; `none` is minus infinity."""
    return -math.inf if isinstance(value, str) and value.strip().lower() == "none" else _number(value)


def _loss(value: object) -> Value:
    """The name of a loss; that of a quantile has its level, as `pinball:0.7`."""
    name = str(_text(value))
    if name.startswith(PINBALL):
        level = _parse_number(name.removeprefix(PINBALL))
        if not isinstance(level, float) or not 0 < level < 1:
            raise UsageError(f"'{name}' has no level in (0, 1).", "Expected e.g. pinball:0.7.")
        return f"{PINBALL}{level:g}"
    if name == PINBALL.rstrip(":"):
        raise UsageError("pinball needs the level of a quantile.", "Expected e.g. pinball:0.7.")
    return name


def _levels(value: object) -> Value:
    """Quantile levels, ascending: from `0.1,0.5`, `none`, or a sequence of numbers."""
    if isinstance(value, str):
        parts: list[object] = [] if value.strip().lower() == "none" else [*map(_parse_number, value.split(","))]
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    else:
        raise UsageError(f"{value!r} is not a list of quantiles.", "Expected e.g. 0.1,0.5,0.9 or none.")
    levels = sorted(float(_number(part)) for part in parts)  # type: ignore[arg-type]
    for level in levels:
        if not 0 < level < 1:
            raise UsageError(f"quantile {level:g} is not in (0, 1).", "Expected e.g. 0.1,0.5,0.9 or none.")
    if len(set(levels)) < len(levels):
        raise UsageError("a quantile is given twice.")
    return tuple(levels)


def _columns(value: object) -> Value:
    """Names: from `a,b` (a name with a comma in double quotes), or a sequence of texts."""
    if isinstance(value, str):
        names = next(csv.reader([value], skipinitialspace=True), [])
    elif isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        names = list(value)
    else:
        raise UsageError(f"{value!r} is not a list of names.", "Expected e.g. temperature,holiday.")
    names = [name.strip() for name in names]
    if not all(names):
        raise UsageError(f"{value!r} holds an empty name.", "Expected e.g. temperature,holiday.")
    return tuple(names)


def _ramp(value: object) -> Value:
    """Two shares, the first and the last: from `1..0`, `0.5`, a number, or two numbers."""
    if isinstance(value, str):
        parts: list[object] = [_parse_number(part) for part in value.split("..")]
    else:
        parts = list(value) if isinstance(value, (list, tuple)) else [value]
    shares = [float(_number(part)) for part in parts]  # type: ignore[arg-type]
    if len(shares) not in (1, 2) or not all(0 <= share <= 1 for share in shares):
        raise UsageError(f"{value!r} is not one or two shares.", "Expected e.g. 1..0 or 0.5.")
    return shares[0], shares[-1]


def _function(value: object) -> Value:
    """`module:function` from text, or the function itself from Python."""
    from forecaster.models.own_network import NetworkFunction

    return NetworkFunction.of(value)  # type: ignore[arg-type]


def _names(value: object) -> Value:
    """Names, each once: from `a,b` or a sequence."""
    parts = value.split(",") if isinstance(value, str) else value
    names = (
        [part.strip() if isinstance(part, str) else "" for part in parts] if isinstance(parts, (list, tuple)) else []
    )
    if not names or not all(names) or len(set(names)) < len(names):
        raise UsageError(f"{value!r} is not a list of names, each once.", "Expected e.g. a,b.")
    return tuple(names)


# Kind -> function that checks a typed value, as TOML and Python give it.
READERS: Mapping[str, Callable[[object], Value]] = {
    "text": _text,
    "time": _time,
    "data": _data,
    "choice": _text,
    "device": _text,
    "model": _text,
    "int": _whole,
    "steps": _steps,
    "float": _number,
    "bool": _truth,
    "duration": _seconds,
    "margin": _margin,
    "fallback": _fallback,
    "lowest": _lowest,
    "loss": _loss,
    "quantiles": _levels,
    "columns": _columns,
    "names": _names,
    "function": _function,
    "ramp": _ramp,
}


def _parse_whole(text: str) -> object:
    """The number, or else the text itself, which the kind's reader refuses."""
    return int(text) if re.fullmatch(r"\s*[+-]?\d{1,4000}\s*", text) else text


def _parse_number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _parse_truth(text: str) -> object:
    word = text.strip().lower()
    return word in ("1", "true", "yes", "on") if word in ("1", "true", "yes", "on", "0", "false", "no", "off") else text


# Kind -> function that turns the text of a flag or a variable into a typed value. The other kinds are read from text.
FROM_TEXT: Mapping[str, Callable[[str], object]] = {
    "int": _parse_whole,
    "steps": _parse_whole,
    "float": _parse_number,
    "margin": _parse_number,
    "lowest": _parse_number,
    "bool": _parse_truth,
    "fallback": _parse_truth,
}
