"""Whether columns of numbers are series of one kind, or different measurements of one thing: by names, units and scale."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from forecaster.data.reading.text_columns import NUMBER
from forecaster.errors import quoted

_MAX_SCALES = 1000  # by which the medians of series of one kind may differ
_MAX_COMPARED = 100  # columns
_QUANTITIES = {  # words in the names of columns, by what they measure
    "temperature": "temp temperature tmp tavg tmin tmax dew dewp dewpoint t2m",
    "humidity": "humidity rh hum",
    "pressure": "pressure pres press mslp slp barometer",
    "wind": "wind windspeed ws wspm gust iws",
    "rain": "rain precip precipitation prcp snow",
    "light": "radiation solar ghi dni irradiance cloud cloudcover visibility",
    "particles": "pm2 pm10 pm25 so2 no2 co2 ozone o3",
    "price": "price close open high low cost rate",
    "amount": "volume sales sold qty quantity units orders demand returns",
    "revenue": "revenue turnover income profit",
    "people": "customers visitors users population traffic",
    "promotion": "promo promotion discount",
    "calendar": "holiday weekend weekday workingday isholiday",
    "voltage": "voltage current intensity",
    "power": "power energy load kwh mw",
}
_WORDS = {word: quantity for quantity, words in _QUANTITIES.items() for word in words.split()}
# Last words of names, as of order_id and invoice no.
_IDENTIFIERS = frozenset(("id", "ids", "no", "nr", "num", "number", "code", "sku", "ean", "plz", "zip"))
_THINGS = (  # last words of names of columns that say which thing a row is of
    "store stores shop branch outlet warehouse depot plant site location station terminal region district city state "
    "country department dept item product article sku material part customer client account user vendor supplier family "
    "sensor device meter machine vehicle channel filiale filialnr laden markt standort lager werk artikel artikelnr"
    " warengruppe kunde konto magasin produit tienda negozio prodotto loja produto winkel"
)
_UNIT = re.compile(r"[\[(]\s*([^\])]{1,12})\s*[\])]\s*$")


def unlike(columns: Mapping[str, Sequence[str]], signs: Mapping[str, str] = MappingProxyType({})) -> str:
    """What makes these columns unlike each other, by their names and first texts; empty where they look alike.

    `signs` are those of money and percent next to the numbers of some columns. Names of one pattern (MT_001, MT_002) are series
    of one kind, whatever their scale.
    """
    names = list(columns)[:_MAX_COMPARED]
    stems = {re.sub(r"\d+", "", name).strip(" _-.").lower() for name in names}
    if len({signs.get(name, "") for name in names}) > 1:
        return ", ".join(f"{quoted(name)} has {signs[name]}" for name in [one for one in names if one in signs][:2])
    if len(stems) == 1:
        return ""
    units = {match[1].lower() for name in names if (match := _UNIT.search(name))}
    if len(units) > 1:
        return f"units: {', '.join(sorted(units)[:4])}"
    identifiers = [name for name in names if _identifies(name, columns[name])]
    if identifiers and len(identifiers) < len(names):
        return f"{quoted(identifiers[0])} names things"
    found = {name: quantity for name in names if (quantity := _quantity(name)) is not None}
    if len(set(found.values())) > 1:
        one, other = next(iter(found)), next(name for name in found if found[name] != next(iter(found.values())))
        return f"'{one}' and '{other}'"
    return _scales(columns, names)


def _identifies(name: str, texts: Sequence[str]) -> bool:
    """Whether a column of whole numbers is one of orders, customers or the like by its name of two words or more."""
    words = _words(name)
    return len(words) > 1 and words[-1] in _IDENTIFIERS and all(text.isdecimal() for text in texts)


def names_things(name: str) -> bool:
    """Whether a column is one of stores, products or the like by the last word of its name, as store, store_id and StoreNr."""
    words = _words(name)
    return bool(words) and (words[-1] in _THINGS.split() or (len(words) > 1 and words[-1] in _IDENTIFIERS))


def _quantity(name: str) -> str | None:
    return next((_WORDS[word] for word in _words(name) if word in _WORDS), None)


def _words(name: str) -> list[str]:
    """The words of a name such as order_id or OrderId, in lower case."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()
    return [word for word in re.split(r"[^a-z0-9]+", apart) if word]


def _scales(columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """Where the scale differs too much, or some columns are yes or no."""
    values = {name: np.array([abs(float(text)) for text in columns[name] if NUMBER.fullmatch(text)]) for name in names}
    values = {name: found for name, found in values.items() if len(found) > 10 and np.isfinite(found).all()}
    flags = [name for name, found in values.items() if np.isin(found, (0, 1)).all() and found.any()]
    if flags and len(flags) < len(values):
        return f"'{flags[0]}' is 0 or 1"
    medians = {name: float(np.median(found[found > 0])) for name, found in values.items() if (found > 0).any()}
    if medians and max(medians.values()) > _MAX_SCALES * min(medians.values()):
        low, high = min(medians, key=lambda name: medians[name]), max(medians, key=lambda name: medians[name])
        return f"'{low}' near {medians[low]:.3g}, '{high}' near {medians[high]:.3g}"
    return ""
