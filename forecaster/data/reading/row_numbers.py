"""What first texts are: numbers, whole numbers, or the numbers of rows."""

from __future__ import annotations

from forecaster.data.reading.text_columns import NUMBER

_ROW_NUMBERS = "no|no.|nr|nr.|id|idx|index|row|rownum|rownr|row_number|obs|#|n|rowid|row_id"


def is_number(text: str) -> bool:
    """Whether a text is a number as Python writes it."""
    return NUMBER.fullmatch(text) is not None


def is_whole(texts: list[str]) -> bool:
    """Whether all texts are whole numbers."""
    return all(text.lstrip("+-").removesuffix(".0").isdecimal() for text in texts)


def is_row_number(column: str, texts: list[str]) -> bool:
    """Whether a column without a name, or with a usual one, counts rows."""
    unnamed = column.startswith(("column ", "Unnamed: "))
    if not texts:
        return unnamed
    if not (unnamed or column.strip().lower() in _ROW_NUMBERS.split("|")) or not is_whole(texts):
        return False
    first = int(float(texts[0]))
    return [int(float(text)) for text in texts] == list(range(first, first + len(texts)))
