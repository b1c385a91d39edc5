"""Columns of covariates, read from files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.data.covariate_encodings import encode, fit_encodings
from forecaster.data.future_covariates import cut, missing_ahead, with_future
from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_future, read_panel
from forecaster.errors import DataError, UsageError

LONG = """shop,day,sold,price,sky,kind,left
a,2024-01-01,1,10,sun,big,5
a,2024-01-02,2,,rain,big,6
a,2024-01-03,,12,sun,,7
b,2024-01-01,4,13,,small,8
b,2024-01-02,5,14,fog,small,9
b,2024-01-03,6,15,sun,small,4
"""
COLUMNS = Columns("shop", "day", "sold", known=("price", "sky"), past=("left",), static=("kind",))


@pytest.fixture
def read(tmp_path):
    def read(text=LONG, columns=COLUMNS, **options):
        path = tmp_path / "x.csv"
        path.write_text(text)
        return read_panel(path, columns, **options)

    return read


def named(panel):
    return {one.name: one for one in panel.covariates}


def test_columns_are_numbers_or_categories_by_what_they_hold(read):
    found = named(read())
    assert [(one.name, one.role, one.levels) for one in found.values()] == [
        ("price", "known", None),
        ("sky", "known", ("fog", "rain", "sun")),
        ("left", "past", None),
        ("kind", "static", ("big", "small")),
    ]
    np.testing.assert_array_equal(found["kind"].values, [0, 1])
    np.testing.assert_array_equal(found["left"].values, [5, 6, 8, 9, 4])


def test_rows_after_the_last_target_are_known_ahead(read):
    panel = read()
    assert panel.lengths.tolist() == [2, 3] and panel.target.tolist() == [1, 2, 4, 5, 6]
    found = named(panel)
    np.testing.assert_array_equal(found["price"].values, [10, np.nan, 13, 14, 15])
    np.testing.assert_array_equal(found["price"].ahead, [[12], [np.nan]])
    np.testing.assert_array_equal(found["sky"].values, [2, 1, np.nan, 0, 2])
    assert any("covariates, known: 'price', 'sky' (a category)" in note for note in panel.notes)


def test_without_known_columns_rows_stay_as_they_are(read):
    assert read(columns=Columns("shop", "day", "sold", past=("price",))).lengths.tolist() == [3, 3]
    assert read(columns=Columns("shop", "day", "sold")).covariates == ()


def test_frames_and_files_give_the_same(read, tmp_path):
    panel = read()
    frame = pd.read_csv(tmp_path / "x.csv", parse_dates=["day"])
    for one, other in zip(panel.covariates, read_panel(frame, COLUMNS).covariates, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert one.levels == other.levels


def test_gaps_are_missing_covariates(read):
    text = "day,sold,price\n2024-01-01,1,10\n2024-01-02,2,11\n2024-01-04,4,13\n2024-01-05,5,14\n2024-01-07,,16\n"
    panel = read(text, Columns(None, "day", "sold", known=("price",)), freq="D")
    np.testing.assert_array_equal(named(panel)["price"].values, [10, 11, np.nan, 13, 14])
    np.testing.assert_array_equal(named(panel)["price"].ahead, [[np.nan, 16]])
    assert panel.gaps == 1


def test_a_single_series_needs_no_target_where_one_column_is_left(read):
    panel = read("day,sold,price\n2024-01-01,1,10\n2024-01-02,2,11\n", Columns(known=("price",)))
    assert panel.layout == "single" and panel.columns.target == "sold"


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (Columns("shop", "day", "sold", known=("prise",)), DataError, "no column 'prise' (--known). Did you mean 'price'?"),
        (Columns("shop", "day", "sold", known=("price",), past=("price",)), UsageError, "column 'price' is given twice."),
        (Columns("shop", "day", "sold", known=("sold",)), UsageError, "column 'sold' is given twice."),
        (Columns("shop", "day", "sold", static=("left",)), DataError, "x.csv:3: static column left changes within series 'a'."),
        (Columns("shop", "day", "sold", past=("sky",), texts=()), DataError, "x.csv:2: past 'sun' (column sky) is not a number."),
        (Columns("shop", "day", "sold", known=("price",), past=("left",), static=("kind",), texts=()), DataError,
         "x.csv:2: static 'big' (column kind) is not a number."),
    ],
)  # fmt: skip
def test_wrong_columns_are_refused_in_one_line(read, columns, error, message):
    with pytest.raises(error) as caught:
        read(columns=columns)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_text_among_numbers_is_given_with_its_line(read):
    text = LONG.replace("a,2024-01-02,2,,", "a,2024-01-02,2,cheap,")
    with pytest.raises(DataError, match=r"x\.csv:3: known 'cheap' \(column price\) is not a number\."):
        read(text, Columns("shop", "day", "sold", known=("price",), texts=()))


def test_an_infinite_covariate_is_refused(read):
    with pytest.raises(DataError, match=r"x\.csv:4: known column price is not finite\."):
        read(LONG.replace(",12,", ",inf,"))


def test_a_covariate_too_large_to_compute_with_is_refused(read):
    with pytest.raises(
        DataError, match=r"x\.csv:4: known column price is too large to compute with\. Give it in a larger"
    ):
        read(LONG.replace(",12,", ",1e308,"))


def test_the_wide_layout_and_a_lone_series_take_no_covariates(read):
    wide = "day,x,z,price\n2024-01-01,1,2,3\n2024-01-02,1,2,3\n"
    with pytest.raises(UsageError, match="--known: a table with one series per column"):
        read(wide, Columns(known=("price",)))
    with pytest.raises(UsageError, match="--static price: it has no effect on a single series"):
        read(wide, Columns(target="x", static=("price",)))


def test_a_future_file_is_matched_by_series_and_timestamp(read, tmp_path):
    panel = read()
    path = tmp_path / "future.csv"
    path.write_text(
        "day,shop,price,sky\n2024-01-05,b,21,snow\n2024-01-04,b,20,rain\n2024-01-03,b,99,sun\n2024-01-04,a,30,fog\n"
        "2024-01-04,new,1,sun\n2024-01-09,a,7,sun\n"
    )
    panel = with_future(panel, read_future(path, panel), 2)
    found = named(panel)
    np.testing.assert_array_equal(found["price"].ahead, [[12, 30], [20, 21]])
    assert found["sky"].levels == ("fog", "rain", "sun", "snow")
    np.testing.assert_array_equal(found["sky"].ahead, [[2, 0], [1, 3]])
    assert missing_ahead(panel, np.array([0, 1]), 2)[0].tolist() == []


def test_each_missing_future_value_is_named(read):
    lacking, listed = missing_ahead(read(), np.array([0, 1]), 2)
    assert lacking.tolist() == [0, 1]
    assert listed == (
        "price of series 'a' at 2024-01-04, price of series 'b' at 2024-01-04, price of series 'b' at 2024-01-05, "
        "sky of series 'a' at 2024-01-04, sky of series 'b' at 2024-01-04 and 1 more"
    )


def test_rows_cut_off_stay_known_and_their_past_columns_are_gone(read):
    panel = cut(read(), np.array([1, 2]))
    found = named(panel)
    np.testing.assert_array_equal(found["price"].ahead, [[np.nan, 12], [15, np.nan]])
    np.testing.assert_array_equal(found["left"].values, [5, 8, 9])


def test_encodings_come_from_the_rows_before_the_ends_alone(read):
    panel = read()
    ends = panel.offsets[:-1] + np.array([1, 2])
    encodings = {one.name: one for one in fit_encodings(panel, ends)}
    assert encodings["price"].mean == pytest.approx(np.mean([10, 13, 14]))
    assert encodings["price"].scale == pytest.approx(np.std([10, 13, 14]))
    assert encodings["sky"].levels == ("fog", "sun")
    codes = encode(panel, tuple(encodings.values())).rows[:, 1]
    np.testing.assert_array_equal(codes, [1, 2, np.nan, 0, 1])  # rain has not been seen: 2


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        (("TRUE", "FALSE"), [1, 0]),
        (("1", "0"), [1, 0]),
        (("y", "n"), [1, 0]),
        (("True", "maybe"), [1, 2]),
        (("true", "t"), [2, 2]),  # two words for one value: they mean something else
    ],
)
def test_truth_values_are_the_same_however_they_are_written(written, codes):
    panels = [
        read_panel(
            pd.DataFrame({"day": pd.date_range("2024-01-01", periods=4), "sold": [1.0, 2, 3, 4], "promo": texts * 2}),
            Columns(None, "day", "sold", known=("promo",), texts=("promo",)),
        )
        for texts in (["True", "False"], list(written))
    ]
    learnt = fit_encodings(panels[0], panels[0].offsets[1:])
    assert encode(panels[1], learnt).rows[:2, 0].tolist() == codes
