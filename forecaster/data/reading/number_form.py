"""How a file writes numbers: its decimal mark, and what separates thousands.

Both are taken from the file only where nothing else fits: semicolons, tabs or bars separate its columns, and every number of a
column has the form; where commas do, most numbers of a column are in quotes, as "1,234.50". A number of another form is an
error, never another value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from forecaster.data.reading.number_signs import PERCENT, without_sign
from forecaster.errors import DataError, UsageError

DECIMALS = (".", ",")
THOUSANDS = (",", ".", " ", "'", "_", "\u00a0", "\u202f", "\u2019")
SPACES = " \u00a0\u202f"  # which look alike: as an option a plain space stands for each
_YEAR_MONTH = re.compile(r"\d{4}\.(0?[1-9]|1[0-2])")
_MIN_SHARE = 0.8  # of a column's texts that have the form; the others are faults to be reported by line


@dataclass(frozen=True)
class NumberForm:
    """The decimal mark, and the mark between thousands; empty = none."""

    decimal: str = "."
    thousands: str = ""
    signs: tuple[str, ...] = ()  # of money and percent, which some columns of the file have
    given: bool = field(default=False, compare=False)  # by the caller; else as the file shows

    def __post_init__(self) -> None:
        if self.decimal not in DECIMALS:
            raise UsageError(f"--decimal '{self.decimal}' is not a decimal mark.", "Give . or ,")
        if self.thousands and self.thousands not in THOUSANDS:
            raise UsageError(f"--thousands '{self.thousands}' does not separate thousands.", "Give e.g. . or , or ' '.")
        if self.thousands == self.decimal:
            raise UsageError(f"--decimal and --thousands are both '{self.decimal}'.", "Give two different marks.")

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as in Python."""
        return self == PLAIN

    @property
    def marks(self) -> dict[str, str]:
        """Both marks by name; empty where numbers are written as in Python."""
        usual = (self.decimal, self.thousands) == (PLAIN.decimal, PLAIN.thousands)
        return {} if usual else {"decimal": self.decimal, "thousands": self.thousands}

    def fits(self, text: str) -> bool:
        """Whether `text` is a number of this form."""
        return _pattern(self.decimal, self.thousands).fullmatch(text) is not None

    def plain(self, text: str) -> str:
        """A number of this form as Python writes it; any other text as it is, but a number of another form in quotes."""
        if self.signs:
            number, sign = without_sign(text)
            text = number if sign in self.signs else text
        if self.fits(text):
            for mark in SPACES if self.thousands == " " else self.thousands:
                text = text.replace(mark, "")
            return text.replace(self.decimal, ".")
        return f"'{text}'" if PLAIN.fits(text) else text

    def column(self, texts: Sequence[str]) -> list[str]:
        """The texts of a column, each as in `plain`; years and months such as 2015.04, which are no numbers, as they are."""
        if self.is_plain or (self.decimal != "." and all(map(_YEAR_MONTH.fullmatch, texts))):
            return list(texts)
        return [self.plain(text) for text in texts]


@lru_cache(maxsize=8)
def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    whole = (
        r"\d+"
        if not thousands
        else rf"(?:[1-9]\d{{0,2}}(?:[{re.escape(SPACES if thousands == ' ' else thousands)}]\d{{3}})+|\d+)"
    )
    point = re.escape(decimal)
    return re.compile(
        rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity)", re.IGNORECASE
    )


PLAIN = NumberForm()


def form_of(name: str, delimiter: str, sample: Mapping[str, Sequence[str]]) -> NumberForm:
    """The form of the numbers in a sample of columns that `delimiter` separates.

    DataError where all numbers with a comma fit two forms that give different values; of points the whole columns decide, as
    `doubtful_points.py` says.
    """
    odd = {c: texts for c, texts in sample.items() if texts and any("," in text for text in texts)}
    if delimiter == ",":  # then such numbers are in quotes; a few of them are errors
        quoted = NumberForm(".", ",")
        shown = [texts for texts in odd.values() if 2 * sum("," in text for text in texts) > len(texts)]
        sure = [one for one in shown if all(map(quoted.fits, one)) and any(_proves(text, quoted) for text in one)]
        return quoted if sure else PLAIN
    odd = {c: texts for c, texts in odd.items() if any(_share(texts, form) >= _MIN_SHARE for form in _forms(","))}
    found = [form for form in _forms(",") if any(_proves(text, form) for texts in odd.values() for text in texts)]
    continental = [form for form in found if form.decimal == ","]
    english = [form for form in found if form.decimal == "."]
    if continental and english:
        return PLAIN  # a mixture: each number that is none is named with its line
    if english:
        return english[0]
    if continental:
        return _with_thousands(continental[0], sample)
    doubtful = [(c, text) for c, texts in odd.items() for text in texts if "," in text and NumberForm(",").fits(text)]
    if doubtful:
        raise doubtful_comma(name, *doubtful[0])
    return PLAIN


def doubtful_comma(name: str, column: str, text: str) -> DataError:
    """The question what the commas in the numbers of a column are."""
    return DataError(
        f"{name}: number '{text}' (column {column}) may have a decimal comma or thousands: all numbers fit both.",
        "Say which: --decimal , or --thousands ,",
    )


def has_commas(texts: Sequence[str]) -> bool:
    """Whether most texts are numbers with a comma, which separates thousands or decimals."""
    with_comma = [text for text in texts if "," in text]
    return 2 * len(with_comma) > len(texts) and all(map(NumberForm(",").fits, with_comma))


def signs_of(sample: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The sign of money or percent that the numbers in a sample of columns have, by column."""
    forms = (PLAIN, NumberForm(".", " "), *_forms(","))
    found: dict[str, str] = {}
    for column, texts in sample.items():
        signed = [(number, sign) for number, sign in map(without_sign, texts) if sign]
        if signed and max(sum(form.fits(number) for number, _ in signed) for form in forms) >= _MIN_SHARE * len(texts):
            found[column] = Counter(sign for _, sign in signed).most_common(1)[0][0]
    return found


def note_of(form: NumberForm) -> str:
    """What is said of a form that was inferred; empty where numbers are written as in Python."""
    marks = f"Numbers have the decimal mark {form.decimal!r}" if form.marks else ""
    marks += f", thousands separated by {form.thousands!r}" if form.thousands else ""
    money = ", ".join(repr(sign) for sign in form.signs if sign != PERCENT)
    signs = [f"Numbers with {money} are read without it"] if money else []
    signs += ["Numbers with '%' are read in percent, '12 %' as 12"] if PERCENT in form.signs else []
    return " ".join(f"{one}." for one in (marks, *signs) if one)


def _forms(mark: str) -> list[NumberForm]:
    """The forms in which `mark` occurs."""
    others = [one for one in THOUSANDS if one != mark]
    return [NumberForm(mark), *(NumberForm(mark, one) for one in others), NumberForm(".", mark)]


def _share(texts: Sequence[str], form: NumberForm) -> float:
    return sum(map(form.fits, texts)) / len(texts)


def _proves(text: str, form: NumberForm) -> bool:
    """Whether `text` has a comma and fits `form`, but not the other meaning of the comma."""
    if "," not in text or not form.fits(text) or (form.thousands not in ("", ",") and form.thousands not in text):
        return False
    if form.decimal == ",":
        return not any(NumberForm(".", ",").fits(part) for part in (text, text.lstrip("+-")))
    return not NumberForm(",").fits(text)


def _with_thousands(form: NumberForm, sample: Mapping[str, Sequence[str]]) -> NumberForm:
    """`form` with the mark between thousands that some column of numbers shows."""
    for mark in THOUSANDS[1:]:
        wider = NumberForm(form.decimal, mark)
        for texts in sample.values():
            if any(mark in text for text in texts) and _share(texts, wider) >= _MIN_SHARE:
                return wider
    return NumberForm(form.decimal)
