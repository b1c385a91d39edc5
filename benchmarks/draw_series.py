#!/usr/bin/env python3
"""Draw made series of every kind into docs/made_series.svg.

python benchmarks/draw_series.py
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

PAGE = Path(__file__).resolve().parents[1] / "docs" / "made_series.svg"
COLUMNS, WIDTH, HEIGHT, GAP, TITLE = 4, 210, 56, 10, 18
ROWS = 120


def line(values: FloatArray, x: float, y: float) -> str:
    """One series as a path, broken where rows are missing."""
    low, high = np.nanmin(values), np.nanmax(values)
    up = HEIGHT * (1.0 - (values - low) / (high - low if high > low else 1.0))
    along = np.linspace(0.0, WIDTH, len(values))
    path, new = "", True
    for right, down in zip(along, up, strict=True):
        if np.isnan(down):
            new = True
            continue
        path += f"{'M' if new else 'L'}{x + right:.0f} {y + down:.0f}"
        new = False
    return f'<path d="{path}"/>'


def main() -> None:
    """Draw."""
    from forecaster.pretraining.kinds import KINDS
    from forecaster.pretraining.series import make_series

    rows = [(f"{kind}, season 12", make_series(COLUMNS, ROWS, 12, seed=4, kind=kind)) for kind in KINDS]
    rows += [
        ("mixed, no season", make_series(COLUMNS, ROWS, 1, seed=1)),
        ("mixed, hourly: a day and a week", make_series(COLUMNS, 3 * 168, 24, seed=2)),
        ("mixed, daily: a week and a year", make_series(COLUMNS, 730, 7, seed=3)),
    ]
    parts = []
    for i, (title, series) in enumerate(rows):
        top = i * (HEIGHT + TITLE + GAP)
        parts.append(f'<text x="0" y="{top + 12}">{title}</text>')
        parts += [line(one, j * (WIDTH + GAP), top + TITLE) for j, one in enumerate(series)]
    width, height = COLUMNS * (WIDTH + GAP), len(rows) * (HEIGHT + TITLE + GAP)
    style = "text{font:12px sans-serif;fill:#555}path{fill:none;stroke:#1668a7;stroke-width:1}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 0 {width} {height}"><style>{style}</style>'
    PAGE.write_text("\n".join([head, *parts, "</svg>"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
