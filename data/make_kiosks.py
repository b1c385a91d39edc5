"""Write `kiosks.csv`: invented daily ice-cream sales of two kiosks, with covariates. Run: python data/make_kiosks.py

Known covariates are temperature and sky (a weather forecast) and promotion; the place of the kiosk is static. The last 14 days
have no sales: they are the horizon, with known covariates only.
"""

from __future__ import annotations

import datetime
import math
import random
from pathlib import Path

KIOSKS = {"Pier": ("beach", 120.0), "Station": ("town", 60.0)}
DAYS, AHEAD = 500, 14
START = datetime.date(2023, 1, 1)
WET = {"sun": 1.0, "cloud": 0.8, "rain": 0.4}


def lines() -> list[str]:
    """The lines of the file: header, then one row for each kiosk and day."""
    rng = random.Random(7)
    rows = ["kiosk,date,sales,temperature,sky,promotion,place"]
    weather = []
    for day in range(DAYS + AHEAD):
        season = -math.cos(2 * math.pi * (day - 20) / 365)
        weather.append((round(12 + 9 * season + rng.gauss(0, 3), 1), rng.choices(list(WET), (5, 3, 2))[0]))
    for kiosk, (place, level) in KIOSKS.items():
        for day, (temperature, sky) in enumerate(weather):
            date = START + datetime.timedelta(days=day)
            promotion = int(rng.random() < 0.1)
            mean = level * math.exp(0.05 * (temperature - 12)) * WET[sky] * (1.3 if promotion else 1.0)
            mean *= 1.4 if date.weekday() >= 5 else 1.0
            sales = str(max(0, round(rng.gauss(mean, 0.08 * mean)))) if day < DAYS else ""
            rows.append(f"{kiosk},{date},{sales},{temperature},{sky},{promotion},{place}")
    return rows


def write(path: Path) -> None:
    """Write the file, with the same bytes on every machine."""
    path.write_text("\n".join(lines()) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(__file__).with_name("kiosks.csv"))
