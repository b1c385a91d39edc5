"""A file for each series: names of series as names of files, by which no two series meet.

Letters, marks and digits of every script stay, and so do `.`, `_` and `-`. Any other character, and a `.` or `-` at the
beginning, is written as the bytes of its UTF-8 in hex (`%20`), as in URLs. So a name can be read back, and cannot leave its
folder. A name that is too long for the file system is cut, and ends with `%~` and its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from forecaster.errors import UsageError, quoted
from forecaster.storage.files import keeps_apart

SERIES = "{series}"
MAX_BYTES = 255  # of a file's name, on all common file systems
_HASH_DIGITS = 32


def series_files(output: str, names: Sequence[str]) -> list[str]:
    """The path of each series' file: `output` with its name for {series}.

    UsageError, before anything is written, where the folder's file system would give two series one file.
    """
    template = Path(output).name
    count = template.count(SERIES)
    room = (MAX_BYTES - len(os.fsencode(template.replace(SERIES, "")))) // max(count, 1)
    parts = [safe_part(name, room) for name in names]
    _refuse_meeting(Path(output).parent, parts, names)
    folder = Path(output).parent
    return [str(folder / template.replace(SERIES, part)) for part in parts]


def safe_part(name: str, room: int = MAX_BYTES) -> str:
    """A series' name as a part of a file's name, in at most `room` bytes. Different names stay different."""
    text = "".join(_kept(character, first=not at) for at, character in enumerate(name)) or "%"
    if len(os.fsencode(text)) <= room:
        return text
    end = "%~" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    while text and len(os.fsencode(text + end)) > room:
        text = text[:-1]
    return text + end


@cache
def _kept(character: str, *, first: bool) -> str:
    """The character, or its bytes in hex where a file's name should not have it."""
    plain = unicodedata.category(character)[0] in "LMN" or character in "._-"
    if plain and not (first and character in ".-"):
        try:
            os.fsencode(character)
        except UnicodeEncodeError:  # the system's names have no such letter
            pass
        else:
            return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _refuse_meeting(folder: Path, parts: Sequence[str], names: Sequence[str]) -> None:
    """UsageError where two names would be one file: equal, or equal to a file system that ignores case or composition."""
    seen: dict[str, int] = {}
    for n, part in enumerate(parts):
        other = seen.setdefault(unicodedata.normalize("NFC", part.casefold()), n)
        if other != n and (parts[other] == part or not keeps_apart(folder, parts[other], part)):
            raise UsageError(
                f"series {quoted(names[other])} and {quoted(names[n])} would have the same file in '{folder}'.",
                "Rename one of them, or write one file without {series}.",
            )
