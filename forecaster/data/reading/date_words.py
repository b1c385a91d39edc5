"""Names of months, and of columns with parts of dates, in other languages than English: "März 2021", "1 de enero de 2020"."""

from __future__ import annotations

import re
import unicodedata

# English, then the others' names and short forms without accents: German, French, Spanish, Italian, Portuguese, Dutch, Nordic
# ones. A word that means two months in two of the languages is in no row.
_NAMES = {
    "jan": "januar janner janvier janv enero ene gennaio gen janeiro januari",
    "feb": "februar feber fevrier fevr fev febrero febbraio fevereiro februari",
    "mar": "marz maerz mrz mars marzo marco maart mrt marts",
    "apr": "avril avr abril abr aprile",
    "may": "mai mayo maggio mag maio mei maj",
    "jun": "juni juin junio giugno giu junho",
    "jul": "juli juillet juil julio luglio lug julho",
    "aug": "aout agosto ago augustus augusti",
    "sep": "septembre septiembre setiembre settembre setembro set",
    "oct": "oktober okt octobre octubre ottobre ott outubro out",
    "nov": "novembre noviembre novembro",
    "dec": "dezember dez decembre diciembre dic dicembre dezembro desember des",
}
# What the columns are called that hold parts of dates, in English and these languages.
DATE_PARTS = {
    "year": "year yr yyyy yy jahr annee an ano anno jaar",
    "quarter": "quarter qtr q quartal trimestre kwartaal",
    "month": "month mon mo mm mth mnth monat mois mes mese maand manad",
    "week": "week wk isoweek weeknum weekofyear woche semaine semana settimana",
    "day": "day dd dom dayofmonth tag jour dia giorno dag",
    "dayofyear": "doy dayofyear yday jday julian",
    "hour": "hour hr hh he hhmm hourending hourofday stunde heure hora ora uur",
    "minute": "minute min mi mins minuto minuut",
    "second": "second sec ss",
    "date": "date day dt ds datum fecha dato tag jour",
    "time": "time timeofday clock hour zeit uhrzeit heure hora tijd",
}
_MONTHS = {word: month for month, words in _NAMES.items() for word in (month, *words.split())}  # déc. and Mär, too
_WORD = re.compile(r"[^\W\d_]+\.?")
_OF = re.compile(r"\b(?:de|del|of)\b\.?\s*", re.IGNORECASE)
_FIRST = re.compile(r"\b1(?:er|o|º|°)(?!\w)", re.IGNORECASE)


def in_english(text: str) -> str:
    """A date with the name of its month in English; the text itself where it has no other name."""
    found = False

    def english(match: re.Match[str]) -> str:
        nonlocal found
        word = without_accents(match[0].rstrip("."))
        found |= word in _MONTHS
        return _MONTHS.get(word, match[0])

    changed = _WORD.sub(english, text)
    return _FIRST.sub("1", _OF.sub("", changed)) if found else text


def without_accents(text: str) -> str:
    """A text in small letters without accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(one))
