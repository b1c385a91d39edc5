"""What must hold for any bytes of a file; shared by the tests and by `make torture`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from forecaster.data.panel import Columns, Panel
from forecaster.data.reading.find_faults import MAX_SHOWN, find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_panel
from forecaster.data.summary import summarise
from forecaster.errors import ForecasterError

BAD = Path(__file__).parents[1] / "data" / "reading" / "bad"
ZONES = (None, "Europe/Berlin", "America/St_Johns", "UTC", "+05:30")
MAX_MESSAGE = 1000


def examine(content: bytes, path: Path, zone: str | None = None) -> bool:
    """Read `content` from `path`. True where it makes a panel; AssertionError where it does neither that nor gives one
    line that says why, or where `find_faults` sees it otherwise.
    """
    path.write_bytes(content)
    message = None
    try:
        hold(read_panel(path, zone=zone))
    except ForecasterError as error:
        message = str(error)
        assert error.code in (2, 3)
        assert "\n" not in message and len(message) < MAX_MESSAGE, message
    try:
        checked = find_faults(path, ReadOptions.of(Columns(), None, None, zone, None))
    except ForecasterError as error:
        assert error.code == 2 and message is not None
        return False
    assert bool(checked.faults) == (message is not None), (message, checked.kinds)
    if message is not None and all(kind.count <= MAX_SHOWN for kind in checked.kinds):
        shown = [fault for kind in checked.kinds for fault in kind.shown]
        assert any(_tail(fault.found) in message for fault in shown), (message, shown)
    if checked.panel is not None:
        hold(checked.panel)
        assert summarise(checked.panel).series == len(checked.panel.series)
    return message is None


def _tail(found: str) -> str:
    """A message without what only the first of several faults says ("2 such rows in all")."""
    return " ".join(found.rstrip(".").split())


def hold(panel: Panel) -> None:
    """AssertionError where a panel is not sorted, regular and finite."""
    assert panel.offsets[0] == 0 and panel.offsets[-1] == len(panel.target) == len(panel.timestamps)
    assert (panel.lengths > 0).all() and len(panel.lengths) == len(panel.series) == len(set(panel.series.tolist()))
    assert not np.isinf(panel.target).any()
    inner = np.ones(len(panel.timestamps) - 1, dtype=bool)
    inner[panel.offsets[1:-1] - 1] = False
    assert (np.diff(panel.timestamps)[inner] > 0).all()


SEEDS = tuple(path.read_bytes() for path in sorted(BAD.glob("*.csv")))
SCRAPS = (
    b",", b"\n", b"\r", b'"', b";", b"\t", b"-", b"+", b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b"NA", b"Z", b"T", b"inf",
    b"1e308", b"-1e308", b"1e-400", b"2024-02-29", b"9999-12-31", b"0001-01-01", b"0000-00-00", b"2024-03-31 02:30",
    b"2024-10-27 02:00", b"2024-W53", b"20240101", b"45292", b"1704067200000000000", b"+99:99", b"+14:00", b"series",
    b"timestamp", b"target", b"ds", b"y", b"\xc2\xa0", b"\xe2\x88\x92", b"\xef\xbc\x91", b"2024Q3", b"31/12/2024",
    b"12/31/2024 11:59 PM", b"1,234.5", b"sep=;\n", b"\x1f\x8b", b"\x1d",
)  # fmt: skip
NAMES = ("series", "timestamp", "target", "unique_id", "ds", "y", "date", "step", "", "a", "b")


def _broken(draw: st.DrawFn, content: bytearray, times: int) -> bytes:
    """`content` with some bytes exchanged."""
    for _ in range(times):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 6))] = draw(st.sampled_from(SCRAPS) | st.binary(max_size=4))
    return bytes(content)


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """A bad file, or two, with some bytes exchanged."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    if draw(st.integers(0, 4)) == 0:
        other = draw(st.sampled_from(SEEDS))
        content += other[draw(st.integers(0, len(other))) :]
    return _broken(draw, content, draw(st.integers(0, 4)))


@st.composite
def good_files(draw: st.DrawFn) -> bytes:
    """A long file as it should be, but for rows that lack or come in any order, and at most one exchange of bytes."""
    header = draw(st.sampled_from(["series,timestamp,target", "unique_id,ds,y", "shop,day,sold"]))
    rows = [header]
    for name in draw(st.lists(st.sampled_from(["a", "b", '"c, d"', "=e"]), min_size=1, max_size=3, unique=True)):
        begin = np.datetime64(draw(st.dates()), "s") + draw(st.sampled_from([0, 0, 3600, 86_399]))
        step = draw(st.sampled_from([1, 900, 3600, 86_400, 7 * 86_400]))
        ticks = draw(st.lists(st.integers(0, 20), min_size=1, max_size=12, unique=True))
        values = draw(st.lists(st.floats(allow_infinity=False), min_size=len(ticks), max_size=len(ticks)))
        rows += [f"{name},{begin + step * tick},{value!r}" for tick, value in zip(ticks, values, strict=True)]
    content = bytearray("\n".join(rows).encode())
    return _broken(draw, content, draw(st.integers(0, 2)) // 2)


_DATES = st.datetimes().map(str) | st.dates().map(str) | st.integers(-5, 10**18).map(str)
_CELLS = (
    _DATES
    | st.floats().map(repr)
    | st.sampled_from([s.decode("utf-8", "replace") for s in SCRAPS])
    | st.text(max_size=5)
)


_KINDS = (_DATES, st.floats(-1e3, 1e3).map(repr), st.sampled_from("ABC"), _CELLS)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Rows and columns of anything: mostly of one kind by column, sometimes not."""
    kinds = draw(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=4))
    rows = [[draw(st.sampled_from(NAMES) | st.text(max_size=4)) for _ in kinds]]
    for _ in range(draw(st.integers(0, 8))):
        rows.append([draw(kind if draw(st.integers(0, 9)) else _CELLS) for kind in kinds])
    delimiter = draw(st.sampled_from([",", ",", ";", "\t"]))
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return ending.join(map(delimiter.join, rows)).encode("utf-8", "surrogatepass")


FILES = good_files() | broken_files() | tables() | st.binary(max_size=200)
