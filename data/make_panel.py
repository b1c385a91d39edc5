"""Write `panel.csv`: invented daily sales of eight shops, two years, long layout. Run: python data/make_panel.py

Level, trend, weekly and yearly season, dips on holidays, noise. Some days have an empty value, some have no row. One shop
opened two months before the end. Only the standard library is used: its generator gives the same numbers on every platform
and in every version.
"""

from __future__ import annotations

import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

START, DAYS = date(2023, 1, 1), 730
SHOPS = ("Aarhus", "Bergen", "Cork", "Delft", "Espoo", "Fano", "Gent", "Hilo")
NEW_SHOP, NEW_DAYS = "Hilo", 60
WEEK = (0.92, 0.88, 0.93, 1.0, 1.21, 1.34, 0.72)  # Monday first


def rows(seed: int = 7) -> list[tuple[str, str, str]]:
    """`(shop, date, sales)` for every row: sales are whole numbers as text, or empty if missing."""
    rng = random.Random(seed)
    return [row for shop in SHOPS for row in _shop(shop, rng)]


def write(path: Path) -> None:
    """Write the file, header first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("shop", "date", "sales"))
        writer.writerows(rows())


def _shop(shop: str, rng: random.Random) -> list[tuple[str, str, str]]:
    level, growth = rng.uniform(80, 900), rng.uniform(-0.1, 0.35)  # sales a day, growth a year
    summer, weekend = rng.uniform(0.05, 0.3), rng.uniform(0.4, 1.4)
    drift, found = 0.0, []
    for day in range(DAYS):
        today = START + timedelta(day)
        drift = 0.97 * drift + rng.gauss(0, 0.02)
        season = summer * math.sin(2 * math.pi * (day - 110) / 365.25)
        week = weekend * (WEEK[today.weekday()] - 1)
        closed = 0.45 if (today.month, today.day) in ((1, 1), (12, 25), (12, 26)) else 1.0
        mean = level * (1 + growth * day / 365) * closed * math.exp(drift + season + week)
        sales, missing, skipped = round(mean * math.exp(rng.gauss(0, 0.07))), rng.random() < 0.01, rng.random() < 0.004
        if skipped or (shop == NEW_SHOP and day < DAYS - NEW_DAYS):
            continue
        found.append((shop, today.isoformat(), "" if missing else str(sales)))
    return found


if __name__ == "__main__":
    write(Path(__file__).with_name("panel.csv"))
