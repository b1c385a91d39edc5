"""Settings from flags, `FORECASTER_*` variables, a TOML file and Python keywords: their precedence and their checks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from forecaster.config import EVERY_SETTINGS, FILE, SETTINGS, CommonSettings
from forecaster.config.option import Option, Value, flag, options, read, spelling, twin
from forecaster.errors import UsageError, nearest

MAX_TOML = 1 << 24  # bytes of a settings or jobs file
PREFIX = "FORECASTER_"
# Kubernetes sets these variables in every pod where a service has a name that begins with "forecaster".
SERVICE_LINK = re.compile(
    rf"{PREFIX}(.*_)?(SERVICE_(HOST|PORT(_.+)?)|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)

S = TypeVar("S")


@dataclass(frozen=True)
class ConfigFile:
    """A TOML file with checked names. The command that uses a value checks it."""

    where: str  # for messages
    shared: Mapping[str, object]  # field → value, for every command that has the field
    tables: Mapping[str, Mapping[str, object]]  # command → field → value

    def values(self, settings: type, command: str) -> dict[str, Value]:
        """The checked values of one settings class. The command's own table has precedence over the shared keys."""
        own = {**self.shared, **self.tables.get(command, {})}
        return _read_all(
            settings,
            {key: own[key] for key in own if key in options(settings)},
            _label(settings, self.where),
            text=False,
        )


def from_mapping(settings: type[S], mapping: Mapping[str, object], where: str) -> S:
    """Settings from typed values, as TOML and Python give them; None means "not given".

    Unknown names (with the nearest known one), wrong types, values out of range and contradictions are UsageErrors
    that begin with `where`.
    """
    given: dict[str, object] = {}
    for key, value in mapping.items():
        name = _field(key, options(settings), where, "option")
        if value is None:
            continue
        if name in given:
            raise UsageError(f"{where}: '{key}' is given under two names.", "Keep one.")
        given[name] = value
    return settings(**_read_all(settings, given, _label(settings, where), text=False))


def resolve(
    settings: type[S], flags: Mapping[str, object], environment: Mapping[str, str], file: ConfigFile, command: str
) -> S:
    """Settings of one command. Precedence: flags (field → text; None = not given), variables, file, defaults."""
    known = options(settings)
    variables = {name: text for name in known if (text := environment.get(_variable(name, known[name])))}
    given = {name: value for name, value in flags.items() if value is not None and name in known}
    return settings(
        **{
            **file.values(settings, command),
            **_read_all(settings, variables, lambda name: _variable(name, known[name]), text=True),
            **_read_all(settings, given, lambda name: flag(name, known[name]), text=True),
        }
    )


def unknown_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """`FORECASTER_*` variables that belong to no option and link to no service.

    UsageError for one that nearly names an option: ignoring a typing error would hide it.
    """
    import difflib

    known = {_variable(name, item) for one in EVERY_SETTINGS for name, item in options(one).items()}
    bare = sorted(name.removeprefix(PREFIX) for name in known)
    others = [name for name in environment if name.startswith(PREFIX) and name not in known]
    strange = sorted(name for name in others if not SERVICE_LINK.fullmatch(name))
    for name in strange:
        if close := difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.7):
            raise UsageError(f"unknown variable {name}.", f"Did you mean '{PREFIX}{close[0]}'?")
    return tuple(strange)


def load_toml(path: str | None) -> ConfigFile:
    """The settings file `path`, else `forecaster.toml` in the working directory, else nothing.

    Keys at the top are for every command that has them; the tables [train], [evaluate] … (SETTINGS) are for one command.
    UsageError for a file that cannot be read and for a key that no command knows.
    """
    if path is None and not Path(FILE).is_file():
        return ConfigFile(FILE, {}, {})
    where = path or FILE
    content = parse_toml(Path(where), where)
    common = {name: item for name, item in options(CommonSettings).items() if name != "config"}
    everywhere = {name: item for one in EVERY_SETTINGS for name, item in options(one).items() if name != "config"}
    shared: dict[str, object] = {}
    tables: dict[str, dict[str, object]] = {}
    for key, value in content.items():
        if key in SETTINGS and isinstance(value, dict):
            known = common | options(SETTINGS[key])
            tables[key] = {_field(name, known, f"{where}: [{key}]", "key"): item for name, item in value.items()}
        else:
            shared[_field(key, everywhere, where, "key")] = value
    return ConfigFile(where, shared, tables)


def parse_toml(path: Path, where: str) -> dict[str, object]:
    """The content of a TOML file. UsageError that begins with `where` for a file that cannot be read."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TOML + 1)
        if len(raw) > MAX_TOML:  # among them /dev/zero, which never ends
            raise UsageError(f"{where}: more than {MAX_TOML >> 20} MiB of settings.", "Name a TOML file.")
        content: dict[str, object] = tomllib.loads(raw.decode("utf-8-sig"))
        return content
    except OSError as error:
        raise UsageError(f"{where}: cannot be read ({error.strerror}).", "Name a TOML file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{where}: not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not TOML: {error}.") from None


def _field(key: str, known: Mapping[str, Option], where: str, noun: str) -> str:
    """The field that `key` names, by its name or its flag, with dashes or underscores."""
    plain = key.replace("-", "_")
    for word in (plain, twin(plain)):
        for name, item in known.items():
            if word in (name, spelling(name, item)):
                return name
    raise UsageError(f"{where}: unknown {noun} '{key}'.", nearest(plain, tuple(sorted(known))))


def _label(settings: type, where: str) -> Callable[[str], str]:
    known = options(settings)
    return lambda name: f"{where}: {spelling(name, known[name])}"


def _variable(name: str, known: Option) -> str:
    return PREFIX + spelling(name, known).upper()


def _read_all(
    settings: type, given: Mapping[str, object], label: Callable[[str], str], *, text: bool
) -> dict[str, Value]:
    known = options(settings)
    return {name: read(known[name], value, label(name), text=text) for name, value in given.items()}
