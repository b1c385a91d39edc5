"""Self-contained pages: one HTML file with its figures and styles, which fetches nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from forecaster.plotting.figures import COLOURS, Draw, to_svg

Value: TypeAlias = "str | int | float | None"

TEMPLATES = Path(__file__).parent / "templates"
DIGITS = 4  # significant digits of the largest number in a column


@dataclass(frozen=True)
class PageFigure:
    """A drawing with a caption."""

    title: str
    caption: str
    draw: Draw


@dataclass(frozen=True)
class PageColumn:
    """A column of a table, its cells as text."""

    header: str
    cells: tuple[str, ...]
    number: bool  # aligned to the right
    best: frozenset[int] = frozenset()  # rows in bold


@dataclass(frozen=True)
class PageTable:
    """Columns of equal length under a caption."""

    caption: str
    columns: tuple[PageColumn, ...]
    folded: bool = False  # closed until the reader opens it

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0].cells)


@dataclass(frozen=True)
class Tile:
    """A number at the head of the page."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, figures, tables."""

    title: str
    text: str
    figures: tuple[PageFigure, ...] = ()
    tables: tuple[PageTable, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    tiles: tuple[Tile, ...] = ()


def render(page: Page) -> bytes:
    """The page as HTML in UTF-8. All texts are escaped; the same page gives the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    places = iter(range(sum(len(section.figures) for section in page.sections)))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = lambda draw: Markup(to_svg(draw, f"figure-{next(places)}"))
    text = environment.get_template("page.html").render(page=page, colours=COLOURS)
    return text.encode("utf-8", "replace")


def page_table(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[object]], *, folded: bool = False
) -> PageTable:
    """A table of plain values. All numbers of a column have the same decimals, so that the eye can compare them."""
    columns = [_column(name, [row[i] for row in rows]) for i, name in enumerate(header)]
    return PageTable(caption=caption, columns=tuple(columns), folded=folded)


STEPS = {
    **dict.fromkeys(("MS", "ME", "M"), "month"),
    **dict.fromkeys(("QS", "QE", "Q"), "quarter"),
    **dict.fromkeys(("YS", "YE", "Y"), "year"),
    "s": "second",
    "min": "minute",
    "h": "hour",
    "D": "day",
    "W": "week",
    "B": "business day",
}


def step_noun(freq: str, count: int) -> str:
    """Steps of a frequency as people call them: `days` for D, `week` for one of W-SUN, `steps of 15min` for others."""
    name = STEPS.get(freq.partition("-")[0].partition("@")[0])
    plural = "" if count == 1 else "s"
    return f"{name}{plural}" if name else f"step{plural} of {freq}"


def _column(header: str, values: Sequence[object]) -> PageColumn:
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    is_number = bool(numbers) and all(
        v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values
    )
    whole = all(isinstance(value, int) for value in values if value is not None)
    decimals = 0 if whole else _decimals(numbers)
    cells = tuple(_text(value, decimals if is_number else None) for value in values)
    return PageColumn(header=header, cells=cells, number=is_number)


def _decimals(numbers: Sequence[float]) -> int:
    """Decimals that give the largest number DIGITS significant digits."""
    largest = max((abs(number) for number in numbers if math.isfinite(number)), default=0.0)
    return 0 if largest == 0 else min(max(DIGITS - 1 - math.floor(math.log10(largest)), 0), 8)


def _text(value: object, decimals: int | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return (
            f"{value:,}"
            if isinstance(value, int)
            else f"{value:,.{decimals}f}"
            if decimals is not None
            else f"{value:g}"
        )
    return str(value)
