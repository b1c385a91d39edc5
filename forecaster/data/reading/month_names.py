"""Names of months in other languages than English: "März 2021", "janv. 2020", "1 de enero de 2020"."""

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
_MONTHS = {word: month for month, words in _NAMES.items() for word in (month, *words.split())}  # déc. and Mär, too
_WORD = re.compile(r"[^\W\d_]+\.?")
_OF = re.compile(r"\b(?:de|del|of)\b\.?\s*", re.IGNORECASE)
_FIRST = re.compile(r"\b1(?:er|o|º|°)(?!\w)", re.IGNORECASE)


def in_english(text: str) -> str:
    """A date with the name of its month in English; the text itself where it has no other name."""
    found = False

    def english(match: re.Match[str]) -> str:
        nonlocal found
        word = _plain(match[0].rstrip("."))
        found |= word in _MONTHS
        return _MONTHS.get(word, match[0])

    changed = _WORD.sub(english, text)
    return _FIRST.sub("1", _OF.sub("", changed)) if found else text


def _plain(word: str) -> str:
    """A word in small letters without accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(one))
