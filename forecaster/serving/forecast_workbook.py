"""A forecast as an Excel workbook: dates are dates, numbers are numbers, and names are texts that are never run as formulas."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.data.time_zones import DAY
from forecaster.errors import UsageError, install_hint

if TYPE_CHECKING:
    from forecaster.serving.forecast import Forecast
    from forecaster.typing import IntArray

MAX_ROWS = 1_048_576  # of a sheet
_FIRST = -(70 * 365 + 17) * DAY  # 1900-01-01: spreadsheets know no earlier dates, and count 1900 wrong up to March
_WIDTHS = {"timestamp": 20, "method": 40}  # of columns, in letters


def require_openpyxl() -> None:
    """UsageError, before anything is forecast, where workbooks cannot be written."""
    if find_spec("openpyxl") is None:
        hint = f"{install_hint('xlsx')[:-1]}, or choose --format csv."
        raise UsageError("workbooks are written by openpyxl, which is not installed.", hint)


def write_workbook(forecast: Forecast, stream: IO[bytes]) -> None:
    """One sheet with a row of names and N x H rows. UsageError where a sheet has no room, or a name cannot be in one."""
    require_openpyxl()
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter
    from openpyxl.utils.exceptions import IllegalCharacterError

    if forecast.prediction.size + 1 > MAX_ROWS:
        raise UsageError(
            f"a sheet has no room for {forecast.prediction.size:,} rows.", "Write CSV or Parquet: --format csv."
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("forecast")
    sheet.freeze_panes = "A2"
    for i, name in enumerate(forecast.columns, start=1):
        sheet.column_dimensions[get_column_letter(i)].width = _WIDTHS.get(name, 14)

    def text(value: object) -> Any:
        cell = WriteOnlyCell(sheet, value=str(value))
        cell.data_type = "s"  # not a formula, whatever it begins with
        return cell

    def number(value: float) -> Any:
        cell = WriteOnlyCell(sheet)
        cell._value, cell.data_type = repr(value), "n"  # all digits: openpyxl itself writes 16 of 17
        return cell

    def bold(name: str) -> Any:
        cell = text(name)
        cell.font = Font(bold=True)
        return cell

    horizon = forecast.timestamps.shape[1]
    stamps = _stamps(forecast.timestamps, forecast, text)
    numbers = np.stack(forecast.numeric_columns(), axis=-1).reshape(
        *forecast.prediction.shape, len(forecast.numeric_columns())
    )
    try:
        sheet.append([bold(name) for name in forecast.columns])
        for n in range(len(forecast.series)):
            names = [values[n] for _, values in forecast.name_columns()]
            texts = [values[n] for _, values in forecast.text_columns()]
            for step in range(horizon):
                row = [*map(text, names), stamps(n, step), *map(number, numbers[n, step].tolist()), *map(text, texts)]
                sheet.append(row)
    except IllegalCharacterError:
        sheet.close()
        raise UsageError("a series' name has a character that workbooks cannot hold.", "Choose --format csv.") from None
    book.save(stream)


def _stamps(timestamps: IntArray, forecast: Forecast, text: Any) -> Any:
    """What makes the cell of a timestamp: a date; a text where there is a zone, which cells have not; a whole number."""
    if forecast.freq.whole_numbers:
        return lambda n, step: int(timestamps[n, step])
    if forecast.zone is not None or (timestamps.size and int(timestamps.min()) < _FIRST + 60 * DAY):
        texts = format_timestamps(timestamps, forecast.freq, forecast.zone)
        return lambda n, step: text(texts[n, step])
    epoch = datetime(1970, 1, 1)
    return lambda n, step: epoch + timedelta(microseconds=int(timestamps[n, step]))
