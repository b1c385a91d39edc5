"""Exception classes, each with its exit code and kind. Every fault that a person can mend is one; any other exception is a bug.

A message says where and what was found; a hint says what to do next:
`sales.csv:17: timestamp '2024-13-01' is not a date. Expected ISO 8601, e.g. 2024-12-01.`
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Iterable

DISTRIBUTION = "forecaster-rnn"  # on the package index, where `forecaster` is another project's
LIGHT_DISTRIBUTION = "forecaster-rnn-predict"  # the same package without what only training needs

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories of characters that are not shown as themselves
_JOINERS = "\u200c\u200d"
_MAX_QUOTED = 60  # characters of a cell that a message repeats


# Parameters of a URL whose values are secrets: of databases, and of signed links to object stores.
SECRET_PARAMETER = re.compile(
    r"(?:[\w-]*(?:password|passwd|passphrase|secret|signature|credential|token|access_?key)[\w-]*|pwd|sig)",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(://[^\s:/@?#'\"]*):(?!\d{1,5}(?:[/?\s'\"]|$))\S*(?:@|…)(?=[^\s@]*)")
_SECRET = re.compile(rf"([?&]{SECRET_PARAMETER.pattern}=)[^&\s'\"]+", re.IGNORECASE)


def masked(text: str) -> str:
    """`text` with passwords and other secrets of URLs in it replaced by `***`."""
    if "://" not in text:
        return text
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


class ForecasterError(Exception):
    """A fault with a cause that the caller can mend.

    `message` is one line: where and what. `hint` is one sentence: what to do next, or empty.
    """

    code = 1
    kind = "bug"

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = masked(" ".join(message.split()))
        self.hint = masked(" ".join(hint.split()))
        super().__init__(self.message if not self.hint else f"{self.message} {self.hint}")


class UsageError(ForecasterError):
    """Options that contradict each other or have no effect."""

    code, kind = 2, "usage"


class DataError(ForecasterError):
    """Input rows that cannot be used as they are."""

    code, kind = 3, "data"


class ArtifactError(ForecasterError):
    """A stored model that is missing, damaged or not fit for this data."""

    code, kind = 4, "artifact"


class QualityError(ForecasterError):
    """A quality gate was missed."""

    code, kind = 5, "quality"


class StaleError(ForecasterError):
    """The latest target is older than allowed."""

    code, kind = 6, "stale"


class PartialError(ForecasterError):
    """Some jobs or series failed; the rest are written."""

    code, kind = 7, "partial"


class NoMemoryError(ForecasterError):
    """The machine, or a limit of this process, has too little memory."""

    code, kind = 2, "memory"


class LockError(ForecasterError):
    """Another run holds the lock; try later."""

    code, kind = 75, "lock"


class WorkerError(ForecasterError):
    """Another process of the same training ended or does not answer; start all of them again."""

    code, kind = 75, "worker"


def install_hint(extra: str = "") -> str:
    """What to install for what `extra` brings, or to train: in the distribution that is installed here."""
    from importlib.metadata import PackageNotFoundError, version

    name = DISTRIBUTION
    if extra:
        try:
            version(LIGHT_DISTRIBUTION)
            name = LIGHT_DISTRIBUTION
        except PackageNotFoundError:
            pass
    return f"Install it with `pip install '{name}[{extra}]'`." if extra else f"Install it with `pip install {name}`."


def nearest(word: str, known: tuple[str, ...]) -> str:
    """`Did you mean 'x'?` for the known word closest to `word`, or a list of what is known."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(known)}."


def visible(text: str) -> str:
    r"""`text` with control characters, line breaks and marks of direction written out (`\x1b`, `\n`, `\u202e`).

    A name from a file must not move the cursor, colour a terminal, begin a line of a log, or turn the text around. The joiners
    that Persian or Indic words need stay.
    """
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if category(c) in _HIDDEN and c not in _JOINERS else c for c in text
    )


def counted(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def listed(names: Iterable[object], most: int = 3) -> str:
    """`a, b, c`, or `a, b, c, …` where there are more than `most`."""
    first = list(map(str, islice(names, most + 1)))
    return ", ".join(first[:most]) + (", …" if len(first) > most else "")


def quoted(text: object) -> str:
    """A cell or a name as messages repeat it: in quotes, cut where it is very long, invisible characters written out."""
    whole = masked(str(text))
    cut = whole if len(whole) <= _MAX_QUOTED else f"{whole[:_MAX_QUOTED]}…"
    return "'" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + "'"
