"""The explicit signature and docstring of a function that takes the options of a command as keywords.

An option is declared once, in `config`: what `help`, completion and `inspect.signature` show follows from that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from forecaster.config.option import Option, names_in, options, range_in_words

F = TypeVar("F", bound=Callable[..., Any])

# Kind of an option -> the type of its value in Python.
TYPES = {
    "text": "str",
    "choice": "str",
    "device": "str",
    "model": "str",
    "int": "int",
    "steps": "int",
    "float": "float",
    "bool": "bool",
    "duration": "float | str",
    "time": "str | date | int",
    "margin": "float | bool",
    "fallback": "str | bool",
    "lowest": "float | str",
    "loss": "str",
    "quantiles": "Sequence[float]",
    "columns": "str | Sequence[str]",
    "names": "str | Sequence[str]",
    "function": "str | Callable",
    "ramp": "float | tuple[float, float]",
    "data": "Data",
}
UNITS = {"duration": "seconds, or a text as 5m", "steps": "steps"}


def with_options(settings: type, *left_out: str) -> Callable[[F], F]:
    """Show the options of `settings`, but for those `left_out`, in the signature and the docstring of a function.

    The function takes them as `**options`; parameters of its own stay as they are.
    """

    def explicit(function: F) -> F:
        whole = inspect.signature(function)
        own = [one for one in whole.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        taken = {*left_out, *(one.name for one in own)}
        shown = {name: known for name, known in options(settings).items() if name not in taken}
        keywords = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(settings, name),
                annotation=_type(known, settings, name),
            )
            for name, known in shown.items()
        ]
        function.__signature__ = whole.replace(parameters=[*own, *keywords])  # type: ignore[attr-defined]
        lines = [f"    {name} ({_about(known, settings, name)}): {known.help}" for name, known in shown.items()]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Keyword Args:", *lines])
        return function

    return explicit


def _type(known: Option, settings: type, name: str) -> str:
    plain = TYPES[known.kind]
    return plain if getattr(settings, name) is not None else f"{plain} | None"


def _about(known: Option, settings: type, name: str) -> str:
    """Type, unit or choices, and default, for people."""
    parts = [TYPES[known.kind]]
    if known.choices:
        parts.append(f"one of {', '.join(names_in(known.choices))}")
    if unit := UNITS.get(known.kind):
        parts.append(unit)
    if known.bounds:
        parts.append(range_in_words(known.bounds))
    default = getattr(settings, name)
    parts.append(f"default {default!r}" if default is not None else "not given by default")
    return "; ".join(parts)
