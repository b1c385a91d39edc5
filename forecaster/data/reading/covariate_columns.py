"""Turns the covariate columns of a table into `Covariate`s: numbers, codes of categories, one value per series if static."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.panel import Covariate
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.text_columns import MISSING, too_large, why_too_large
from forecaster.errors import DataError, quoted

if TYPE_CHECKING:
    from forecaster.data.reading.column_roles import CovariateColumn
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.data.reading.table import RawTable


def read_covariates(table: RawTable, columns: Sequence[CovariateColumn]) -> tuple[Covariate, ...]:
    """The columns as covariates, static ones too, with one value for each row of the table. RowsError on a bad number."""
    return tuple(_text(table, one) if one.text else _number(table, one) for one in columns)


def _text(table: RawTable, column: CovariateColumn) -> Covariate:
    found = table.text_column(column.name)
    texts = [str(text).strip() for text in found.texts]
    levels = tuple(sorted(set(texts) - set(MISSING)))
    code = {text: float(i) for i, text in enumerate(levels)}
    codes = np.array([code.get(text, np.nan) for text in texts])
    return Covariate(column.name, column.role, codes[found.codes], levels)


def _number(table: RawTable, column: CovariateColumn) -> Covariate:
    try:
        values = table.numbers([column.name])[column.name]
    except RowsError as error:
        raise _reworded(error, column.role) from None
    if len(rows := too_large(values)):

        def describe(k: int) -> tuple[str, str]:
            found, hint = why_too_large(values[rows[k]])
            return f"{column.role} column {column.name} {found}", hint

        raise RowsError("covariate", rows, table.place, describe, column=column.name)
    return Covariate(column.name, column.role, values)


def _reworded(error: RowsError, role: str) -> RowsError:
    """The same fault, described as one of a covariate."""

    def describe(k: int) -> tuple[str, str]:
        found, hint = error.describe(k)
        return found.replace("target", role, 1), hint

    return RowsError("covariate", error.rows, error.place, describe, column=error.column)


def one_per_series(covariate: Covariate, rows: SortedRows) -> Covariate:
    """A static covariate with the one value of each series [N], from values [R] sorted as `rows`. DataError where a
    series has several.
    """
    values = covariate.values
    of = np.repeat(np.arange(len(rows.series)), np.diff(rows.offsets))
    there = np.flatnonzero(~np.isnan(values))
    found = np.full(len(rows.series), np.nan)
    found[of[there[::-1]]] = values[there[::-1]]  # the last write is the earliest row
    other = there[values[there] != found[of[there]]]
    if len(other):
        row = int(other[0])
        raise DataError(
            f"{rows.where(row)}: static column {covariate.name} changes within series {quoted(rows.name_of(row))}.",
            f"Give it as --known {covariate.name} or --past {covariate.name}.",
        )
    return replace(covariate, values=found)
