"""Whether what JSON gave is what a dataclass's annotations promise: checked once, where a stored file is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

MAX_WHOLE = 2**63  # whole numbers end up in arrays of 64 bits

T = TypeVar("T")


def validated(record: T) -> T:
    """The dataclass instance if each field has a value of its type, and so on inwards. TypeError that names the field."""
    kinds = _kinds(type(record))  # type: ignore[arg-type,unused-ignore]
    for one in fields(record):  # type: ignore[arg-type]
        if not _is(getattr(record, one.name), kinds[one.name]):
            raise TypeError(f"{type(record).__name__}.{one.name}")
    return record


@cache
def _kinds(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is(value: object, kind: Any) -> bool:
    if get_origin(kind) in (Union, UnionType):
        return any(_is(value, one) for one in get_args(kind))
    if get_origin(kind) is tuple:  # tuple[X, ...]
        return isinstance(value, tuple) and all(_is(one, get_args(kind)[0]) for one in value)
    if get_origin(kind) is Mapping:
        of = get_args(kind)[1]
        return isinstance(value, dict) and all(isinstance(key, str) and _is(one, of) for key, one in value.items())
    if is_dataclass(kind):
        return isinstance(value, kind) and validated(value) is value  # type: ignore[arg-type,unused-ignore]
    return _is_plain(value, kind)


def _is_plain(value: object, kind: type) -> bool:
    """Whether a value is of a type that JSON has. True is no number; every number is finite."""
    if kind is float:
        return (isinstance(value, float) and math.isfinite(value)) or _is_plain(value, int)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_WHOLE
    return isinstance(value, kind) if kind in (str, bool, NoneType) else False
