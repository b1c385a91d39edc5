"""Columns of dates in the forms that people write, as texts and as numbers: read, or refused with what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns, Panel
from forecaster.data.reading.integer_dates import integer_date_form
from forecaster.data.reading.open_table import open_table
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import panel_of, read_panel
from forecaster.errors import DataError, UsageError

YEARS = pd.date_range("1998-01-01", periods=14, freq="YS")
QUARTERS = pd.date_range("2010-01-01", periods=24, freq="QS")
MONTHS = pd.date_range("2010-01-01", periods=40, freq="MS")
WEEKS = pd.date_range("2015-01-05", periods=110, freq="W-MON")
DAYS = pd.date_range("2019-11-20", periods=90)
HOURS = pd.date_range("2019-11-20", periods=60, freq="h")

Write = Callable[..., str]


def quarters(form: str) -> list[str]:
    return [form.format(y=d.year, q=d.quarter, yy=d.year % 100) for d in QUARTERS]


def written(dates: pd.DatetimeIndex, form: str) -> list[str]:
    return [date.strftime(form) for date in dates]


def file_of(texts: Sequence[str], column: str = "date") -> str:
    return f"{column},v\n" + "".join(f'"{text}",{i}.5\n' for i, text in enumerate(texts))


def assert_dates(panel: Panel, dates: pd.DatetimeIndex) -> None:
    assert panel.timestamps.tolist() == dates.as_unit("us").asi8.tolist()
    assert panel.gaps == 0 and panel.layout == "single"
    assert panel.target.tolist() == [i + 0.5 for i in range(len(dates))]


@pytest.mark.parametrize(
    "form",
    [
        "{y} Q{q}",
        "Q{q}-{y}",
        "{y}q{q}",
        "{y}:Q{q}",
        "{y}Q{q}",
        "{q}Q{y}",
        "Q{q}/{y}",
        "{y}.Q{q}",
        "Q{q} {y}",
        "{q}Q{yy:02}",
        "{y}{q}",
    ],
)
def test_quarters_are_read(write: Write, form: str) -> None:
    assert_dates(read_panel(write(file_of(quarters(form), "quarter"))), QUARTERS)


@pytest.mark.parametrize(
    "form", ["%G-W%V", "%G-W%V-1", "%GW%V", "%GW%V1", "W%V-%G", "%G W%V", "week %V %G", "%G-w%V", "CW%V/%G", "%G%V"]
)
def test_iso_weeks_are_read_as_their_mondays(write: Write, form: str) -> None:
    assert_dates(read_panel(write(file_of(written(WEEKS, form), "week"))), WEEKS)


@pytest.mark.parametrize(
    "form",
    ["%b-%y", "%b %Y", "%B %Y", "%Y-%b", "%Y/%m", "%m/%Y", "%m-%Y", "%m.%Y", "%YM%m", "%Y %B", "%b'%y", "%y-%b",
     "%b%Y", "%Y.%m", "%Y%m", "%m%Y", "%y%m"],
)  # fmt: skip
@pytest.mark.parametrize("column", ["month", "date"])
def test_months_are_read(write: Write, form: str, column: str) -> None:
    assert_dates(read_panel(write(file_of(written(MONTHS, form), column))), MONTHS)


@pytest.mark.parametrize(
    "form",
    ["%d/%m/%y", "%m/%d/%y", "%d.%m.%Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%d-%b-%y", "%d%b%Y", "%A, %B %d, %Y",
     "%Y-%j", "%Y%j", "%y/%m/%d", "%y-%m-%d", "%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%a %d %b %Y",
     "%Y-%b-%d"],
)  # fmt: skip
def test_days_are_read(write: Write, form: str) -> None:
    assert_dates(read_panel(write(file_of(written(DAYS, form)))), DAYS)


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d-%H", "%Y-%m-%d:%H", "%d/%m/%Y %H:%M", "%d-%b-%Y %H:%M",
     "%Y%m%d %H:%M", "%Y%m%d%H", "%Y%m%d%H%M", "%y%m%d%H%M", "%Y%m%d%H%M%S", "%d.%m.%y %H:%M", "%m/%d/%y, %I:%M %p",
     "%b %d %Y %I:%M%p"],
)  # fmt: skip
def test_hours_are_read(write: Write, form: str) -> None:
    assert_dates(read_panel(write(file_of(written(HOURS, form)))), HOURS)


@pytest.mark.parametrize(
    "form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC", "%Y/%m/%d %H:%M GMT", "%d/%b/%Y:%H:%M:%S +0000"]
)
def test_times_in_utc_are_instants(write: Write, form: str) -> None:
    panel = read_panel(write(file_of(written(HOURS, form))))
    assert_dates(panel, HOURS)
    assert panel.zone == "UTC"


@pytest.mark.parametrize(("form", "unit"), [("unix-s", 10**9), ("unix-ms", 10**6), ("unix-us", 10**3), ("unix-ns", 1)])
@pytest.mark.parametrize("dates", [DAYS, HOURS])
def test_counts_since_1970_are_instants(write: Write, form: str, unit: int, dates: pd.DatetimeIndex) -> None:
    panel = read_panel(write(file_of([str(value // unit) for value in dates.as_unit("ns").asi8], "time")))
    assert_dates(panel, dates)
    assert (panel.zone, panel.timestamp_form) == ("UTC", form)


def test_midnight_as_hour_24_is_the_next_day(write: Write) -> None:
    for day, midnight in (("%Y-%m-%d ", "24:00"), ("%d.%m.%Y ", "24:00"), ("%m/%d/%Y ", "24:00:00"), ("%Y%m%d", "24")):
        clock = midnight.replace("24", "%H").replace("00", "%M", 1).replace("00", "%S")
        texts = [
            date.strftime(day + clock) if date.hour else (date - pd.Timedelta(days=1)).strftime(day) + midnight
            for date in HOURS
        ]
        assert_dates(read_panel(write(file_of(texts))), HOURS)
    texts = [text.replace(" 00:", " 24:") for text in written(DAYS, "%Y-%m-%d 00:00")]
    assert_dates(read_panel(write(file_of(texts)), timestamp_format="%Y-%m-%d %H:%M"), DAYS + pd.Timedelta(days=1))


@pytest.mark.parametrize(
    "form", ["{y}-{n:02}", "{y}/{n:02}", "{y}/{m}", "{y}–{n:02}", "FY{y}", "FY{yy:02}", "FY {y}-{n:02}"]
)
def test_years_of_two_calendar_years_are_years(write: Write, form: str) -> None:
    texts = [form.format(y=d.year, yy=d.year % 100, n=(d.year + 1) % 100, m=d.year + 1) for d in YEARS]
    panel = read_panel(write(file_of(texts, "season")))
    assert_dates(panel, YEARS)
    assert panel.freq.name == "YS"


def test_a_file_of_few_such_years_is_read_alike_by_every_reader(write: Write) -> None:
    texts = [f"{year}-{(year + 1) % 100:02}" for year in range(2000, 2012)]
    plain = read_panel(write("season,v\n" + "".join(f"{text},1\n" for text in texts)))
    assert_dates(
        plain.__class__(**{**plain.__dict__, "target": np.arange(12) + 0.5}),
        pd.date_range("2000", periods=12, freq="YS"),
    )
    months = read_panel(write("season,v\n2000-01,1\n2000-02,2\n2001-02,3\n"))
    assert months.freq.name == "MS"


def test_decimal_years_are_months_quarters_weeks_or_days(write: Write) -> None:
    def decimal(dates: pd.DatetimeIndex, digits: int) -> list[str]:
        return [f"{d.year + (d.day_of_year - 1) / (366 if d.is_leap_year else 365):.{digits}f}" for d in dates]

    assert_dates(read_panel(write(file_of([f"{d.year + (d.month - 1) / 12:.4f}" for d in MONTHS]))), MONTHS)
    assert_dates(read_panel(write(file_of([f"{d.year + (d.month - 1) / 12:.2f}" for d in MONTHS]))), MONTHS)
    assert_dates(read_panel(write(file_of([str(d.year + (d.quarter - 1) / 4) for d in QUARTERS]))), QUARTERS)
    assert_dates(read_panel(write(file_of(decimal(WEEKS, 4)))), WEEKS)
    assert_dates(read_panel(write(file_of(decimal(DAYS, 4)))), DAYS)


def test_years_and_months_with_a_point_are_months_however_they_were_written(write: Write) -> None:
    for texts in (
        written(MONTHS, "%Y.%m"),
        [repr(float(text)) for text in written(MONTHS, "%Y.%m")],  # .1 is October
        [f"{d.year}.{d.month}" for d in MONTHS],  # .1 is January
    ):
        assert_dates(read_panel(write(file_of(texts))), MONTHS)
        long = "region,date,v\n" + "".join(f"{r},{text},{i}\n" for r in "ab" for i, text in enumerate(texts))
        wide = "date,a,b\n" + "".join(f"{text},{i},{i}\n" for i, text in enumerate(texts))
        one, other = read_panel(write(long)), read_panel(write(wide))
        assert one.timestamps.tolist() == other.timestamps.tolist() == 2 * MONTHS.as_unit("us").asi8.tolist()
    assert_dates(
        read_panel(pd.DataFrame({"date": [float(t) for t in written(MONTHS, "%Y.%m")], "v": np.arange(40) + 0.5})),
        MONTHS,
    )


@pytest.mark.parametrize("numbers", [range(1, 5000), range(100_000, 100_300), range(43_000, 43_100), range(190_001, 191_000),
                                     range(10**6, 10**6 + 60), range(0, 10**6, 1000), range(20_240_101, 20_240_180)])  # fmt: skip
@pytest.mark.parametrize("name", ["step", "x"])
def test_numbers_of_steps_are_no_dates(numbers: range, name: str) -> None:
    assert not integer_date_form(np.array(numbers), name).is_date


@pytest.mark.parametrize("name", ["period", "t"])
@pytest.mark.parametrize(
    ("form", "dates"),
    [
        ("%Y%m%d", pd.date_range("2019-01-01", periods=24)),  # of one month: as regular as numbers of steps
        ("%Y%j", pd.date_range("2019-01-01", periods=50)),
        ("%Y%m%d%H%M", pd.date_range("2019-01-01", periods=24, freq="h")),
    ],
)
def test_dates_of_all_digits_are_dates_in_a_column_with_the_name_of_steps(write: Write, name, form, dates) -> None:
    assert_dates(read_panel(write(file_of(written(dates, form), name))), dates)


def test_months_of_one_year_in_a_column_with_the_name_of_steps_are_asked_about(write: Write) -> None:
    with pytest.raises(DataError, match=r"'201901' \(column period\) is ambiguous: all rows fit %Y%m or %G%V"):
        read_panel(write(file_of([f"2019{i:02}" for i in range(1, 13)], "period")))


@pytest.mark.parametrize(
    ("dates", "form"),
    [
        (MONTHS, "%b %Y"),
        (DAYS, "%d-%b-%y"),
        (DAYS, "%b %d, %Y"),
        (MONTHS, "%YM%m"),
        (QUARTERS, "Q{q} {y}"),
        (YEARS, "%Y"),
    ],
)
@pytest.mark.parametrize("ids", [("north", "south"), ("007", "012")])
def test_a_table_whose_columns_are_times_is_refused_however_these_are_written(write: Write, dates, form, ids) -> None:
    names = quarters(form) if "{" in form else written(dates, form)
    rows = "".join(f"{one};{';'.join(str(100 + i) for i in range(len(names)))}\n" for one in ids)
    with pytest.raises(
        DataError, match=rf"{len(names)} columns are times, as '{names[0]}': each row is a series. Turn"
    ):
        read_panel(write(f"store;{';'.join(names)}\n{rows}"))


def test_numbers_that_fit_several_forms_are_refused_with_all_of_them(write: Write) -> None:
    with pytest.raises(DataError, match=r"'201001' \(column date\) is ambiguous: all rows fit %Y%m or %G%V or %y%m%d"):
        read_panel(write(file_of([f"2010{i:02}" for i in range(1, 13)])))
    panel = read_panel(write(file_of([f"2010{i:02}" for i in range(1, 13)])), timestamp_format="%G%V")
    assert panel.freq.name == "W"
    assert read_panel(write(file_of([f"2010{i:02}" for i in range(1, 13)], "month"))).freq.name == "MS"
    assert read_panel("x.csv", timestamp_format="steps").freq.whole_numbers


def test_a_wrong_date_among_numbers_is_given_with_its_line(write: Write) -> None:
    texts = written(MONTHS, "%Y%m")
    for wrong in ("201013", "Total", "2010-05"):
        with pytest.raises(DataError, match=rf"x.csv:7: timestamp '{wrong}' is not a date of the form %Y%m"):
            read_panel(write(file_of([*texts[:5], wrong, *texts[6:]])))


@pytest.mark.parametrize(("form", "days"), [("%b-%d", 90), ("%d-%b", 90)])
def test_days_without_a_year_are_refused(write: Write, form: str, days: int) -> None:
    with pytest.raises(
        DataError, match=r"has a month and either a year or a day. If it is a year: --timestamp-format %"
    ):
        read_panel(write(file_of(written(pd.date_range("2023-01-01", periods=days), form))))


@pytest.mark.parametrize("form", ["%Y_%m_%d", "%Y年%m月%d日", "%d.%m.%Y %H:%M Uhr", "%Y-%m-%d %Hh", "%H:%M %d.%m.%Y"])
def test_what_is_not_read_is_refused_with_the_format_that_reads_it(write: Write, form: str) -> None:
    path = write(file_of(written(DAYS, form)))
    with pytest.raises(DataError) as refused:
        read_panel(path)
    assert refused.value.hint == f"Say how it is written: --timestamp-format '{form}'."
    assert_dates(read_panel(path, timestamp_format=form), DAYS)


def test_formats_given_also_know_quarters_and_weeks_alone(write: Write) -> None:
    assert_dates(read_panel(write(file_of(quarters("{y}|Q{q}"))), timestamp_format="%Y|Q%q"), QUARTERS)
    assert_dates(read_panel(write(file_of(written(WEEKS, "%G~W%V"))), timestamp_format="%G~W%V"), WEEKS)
    for wrong in ("dmy", "%Y-%E", "%Y-%m-Q%q"):
        with pytest.raises(UsageError, match="timestamp format"):
            read_panel("x.csv", timestamp_format=wrong)


def test_a_format_given_finds_the_column(write: Write) -> None:
    text = "v,stamp\n" + "".join(f"{i},{d:%Y_%m_%d}\n" for i, d in enumerate(DAYS))
    assert read_panel(write(text), timestamp_format="%Y_%m_%d").columns == Columns(None, "stamp", "v")


def test_later_data_is_read_in_the_form_that_was_inferred_before(write: Write) -> None:
    before = read_panel(write(file_of(written(DAYS, "%d/%m/%Y"))))
    options = ReadOptions.of(freq="D")
    table = open_table(write("date,v\n01/02/2020,1\n02/02/2020,2\n"))
    with pytest.raises(DataError, match="ambiguous"):
        panel_of(table, options)
    options = ReadOptions(options.columns, options.freq, None, None, None, likely_format=before.timestamp_form)
    assert (
        panel_of(table, options).timestamps.tolist()
        == pd.DatetimeIndex(["2020-02-01", "2020-02-02"]).as_unit("us").asi8.tolist()
    )
    iso = open_table(write("date,v\n2020-02-01,1\n2020-02-02,2\n"))
    assert panel_of(iso, options).timestamps.tolist() == panel_of(table, options).timestamps.tolist()


@pytest.mark.parametrize("form", ["%Y%m", "%Y%j", "%Y%m%d%H", "%d%m%Y", "%Y%m%d"])
def test_the_plain_reader_and_pandas_read_numbers_alike(write: Write, form: str) -> None:
    dates = HOURS if form.endswith("H") else MONTHS if form == "%Y%m" else DAYS
    rows = [f"{series},{text},1" for series in "ab" for text in written(dates, form)]
    plain = read_panel(write("\n".join(["series,timestamp,target", *rows])))
    windows = read_panel(write("\r\n".join(["series,timestamp,target", *rows])))
    assert plain.timestamps.tolist() == windows.timestamps.tolist() == 2 * dates.as_unit("us").asi8.tolist()
    assert plain.timestamp_form == windows.timestamp_form


@pytest.mark.parametrize(
    ("first", "name", "freq"), [(1871, "year", "YS"), (1700, "YEAR", "YS"), (1871, "reading", "1")]
)
def test_years_of_long_ago_are_dates_where_the_column_is_named_so(first, name, freq):
    frame = pd.DataFrame({name: range(first, first + 90), "volume": np.arange(90.0)})
    panel = read_panel(frame) if name != "reading" else read_panel(frame, columns=Columns(timestamp=name))
    assert str(panel.freq) == freq
