"""Signs of money and percent next to numbers, which are read as the number alone: "$1,234.50", "12,5 %", "EUR 3"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

PERCENT = "%"
_CODES = "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|ZAR|MXN|KRW|SGD|HKD|THB|ILS|RUB|UAH"
_SIGN = rf"(?:[A-Z]{{0,2}}\$|[€£¥₹₽₩₺₪₴฿]|{_CODES}|kr\.?|zł|Kč|Ft|{PERCENT})"
_SIGNED = re.compile(
    rf"(?P<minus>[+-]?)\s*(?P<before>{_SIGN})?\s*(?P<number>[+-]?[\d.,](?:[\d.,'’_\s]*[\d.,])?)\s*(?P<after>{_SIGN})?"
)


def without_sign(text: str) -> tuple[str, str]:
    """A number without its sign of money or percent, and the sign; the text itself and "" where it has none, or two."""
    match = _SIGNED.fullmatch(text)
    if match is None or (match["before"] is None) == (match["after"] is None):
        return text, ""
    if match["minus"] and match["number"][0] in "+-":
        return text, ""
    return match["minus"] + match["number"], match["before"] or match["after"]


def other_signs(texts: Iterable[str]) -> set[int]:
    """Positions of the numbers of a column whose sign is another than most have, or is missing where that is percent."""
    signs = [without_sign(text)[1] for text in texts]
    found = Counter(sign for sign in signs if sign)
    if not found:
        return set()
    usual = found.most_common(1)[0][0]
    return {i for i, sign in enumerate(signs) if sign != usual and (sign or PERCENT in found)}
