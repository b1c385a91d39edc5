"""What users hand over as data: paths and data frames as they are; series, arrays, lists and polars frames as data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from forecaster.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.typing import Data

Table: TypeAlias = "Data | pd.Series[Any] | np.ndarray[Any, Any] | Sequence[float] | Mapping[str, Any]"


def as_data(table: Any) -> Any:
    """`table` as a path or a pandas.DataFrame, which commands read.

    A pandas.Series needs an index of dates (as texts, too), periods or whole numbers, or of keys and one of these. Lists and
    arrays [R] of numbers get the timestamps 0, 1, …
    A polars frame is copied. DataError, in one line, for anything else.
    """
    if table is None or isinstance(table, (str, Path)):
        return table
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, pd.Series):
        return _of_series(table)
    if type(table).__module__.partition(".")[0] == "polars":
        return _of_polars(table)
    if isinstance(table, Mapping):
        return _made(table)
    if isinstance(table, (np.ndarray, list, tuple, range)):
        return _of_numbers(table)
    raise DataError(
        f"data of type {type(table).__name__} is not read.",
        "Give a path, a data frame (pandas or polars), a pandas.Series, or a list or array of numbers.",
    )


def _of_series(series: Any) -> Any:
    import pandas as pd

    index = series.index
    if isinstance(index, pd.MultiIndex):  # of keys and dates: its levels become columns, as those of a frame's do
        return series.to_frame("value" if series.name is None else str(series.name))
    typed = isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) or pd.api.types.is_integer_dtype(index.dtype)
    if not typed and not all(isinstance(one, (str, date)) for one in index):
        raise DataError("a Series needs an index of dates, periods or whole numbers.", "Set it, or give a data frame.")
    stamp = "timestamp" if index.name is None else str(index.name)
    name = "value" if series.name is None or str(series.name) == stamp else str(series.name)
    return pd.DataFrame({stamp: index, name: series.to_numpy()})


def _of_polars(table: Any) -> Any:
    if hasattr(table, "collect"):  # a lazy frame
        table = table.collect()
    if hasattr(table, "columns"):
        return _made({name: table[name].to_list() for name in table.columns})
    return _of_numbers(table.to_list())


def _made(columns: Mapping[str, Any]) -> Any:
    import pandas as pd

    try:
        return pd.DataFrame(dict(columns))
    except ValueError as error:
        raise DataError(f"these columns make no table: {error}.", "Give columns of one length.") from None


def _of_numbers(values: Any) -> Any:
    import pandas as pd

    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("a list or array must be of numbers.", "Give a data frame with a timestamp column.") from None
    if array.ndim != 1:
        shape = " × ".join(map(str, array.shape))
        raise DataError(f"an array of shape {shape} has no columns with names.", "Give one series, or a data frame.")
    return pd.DataFrame({"timestamp": np.arange(len(array)), "value": array})
