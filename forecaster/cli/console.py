"""The only printer: results go to stdout; notes, warnings, progress and errors to stderr."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from forecaster.cli.file_descriptors import unless_broken
from forecaster.errors import visible
from forecaster.storage.json_values import finite

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from forecaster.errors import ForecasterError
    from forecaster.typing import Progress

TENTHS = 10  # without a terminal, progress is one line per tenth of the epochs …
MIN_PAUSE, MAX_PAUSE = 5.0, 60.0  # … but at least, and at most, this many seconds after the last line
# Stage, as reports of progress name it -> as people read it.
STAGES: Mapping[str, str] = {"test": "test fit", "final": "final fit"}


class Console:
    """A `Watch` that prints. As a context manager it removes the progress bar at its end."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        json: bool = False,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.quiet, self.json, self.verbose = quiet, json, verbose
        self._clock = clock
        self._bar: tuple[Bar, TaskID] | None = None
        self._stage: tuple[str, int] | None = None
        self._last_line, self._last_tenth = -math.inf, -1

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *exc: object) -> None:
        self._end_bar()

    def note(self, text: str) -> None:
        """One line on stderr, unless quiet."""
        if not self.quiet:
            self._aside(text)

    def warn(self, text: str) -> None:
        """One line on stderr, marked as a warning, unless quiet."""
        if not self.quiet:
            self._aside(f"warning: {text}")

    def error(self, error: ForecasterError) -> None:
        """One line, or one JSON object, on stderr; also when quiet."""
        self._end_bar()
        if self.json:
            fault = {"code": error.code, "kind": error.kind, "message": error.message, "hint": error.hint}
            _tell(json.dumps({"error": fault}))
        else:
            _tell(visible(f"error: {error}"))

    def progress(self, progress: Progress) -> None:
        """A bar on a terminal; elsewhere a line on stderr, at intervals. Nothing when quiet."""
        if self.quiet:
            return
        if _is_terminal(sys.stderr):
            self._move_bar(progress)
        elif self._is_due(progress):
            self._aside(f"{_stage_name(progress)}: {_state(progress)}")

    def result(self, value: object) -> None:
        """One JSON object on stdout; NaN and infinity become null."""
        self._end_bar()
        _write(sys.stdout, json.dumps(finite(value), allow_nan=False))

    def line(self, text: str = "") -> None:
        """A line of the result, on stdout."""
        self._end_bar()
        _write(sys.stdout, visible(text))

    def lines(self, text: str) -> None:
        """Lines of the result, on stdout."""
        for line in text.split("\n"):
            self.line(line)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table on stdout, numbers aligned to the right: drawn on a terminal, plain text elsewhere."""
        self._end_bar()
        header = [visible(name) for name in header]
        cells = [[visible(_cell(value)) for value in row] for row in rows]
        right = [bool(rows) and all(_is_number(row[i]) or row[i] is None for row in rows) for i in range(len(header))]
        if _is_terminal(sys.stdout):
            _draw(header, cells, right)
        else:
            for text in _align([list(header), *cells], right):
                _write(sys.stdout, text)

    def drawing(self, draw: Callable[[int, bool, bool], str], *, result: bool) -> None:
        """A drawing on stdout where it is the `result`, on stderr where stdout carries something else.

        `draw` takes the number of columns, whether the terminal shows colours, and whether it shows more than ASCII.
        """
        self._end_bar()
        stream = sys.stdout if result else sys.stderr
        color = _is_terminal(stream) and not os.environ.get("NO_COLOR")
        unicode = (getattr(stream, "encoding", None) or "").lower().startswith("utf")
        text = draw(shutil.get_terminal_size().columns, color, unicode)
        if result:
            _write(stream, text)
        else:
            _tell(text)

    def _aside(self, text: str) -> None:
        text = visible(text)
        if self._bar:
            with unless_broken(sys.stderr):
                self._bar[0].console.print(text, markup=False, highlight=False)  # above the bar
        else:
            _tell(text)

    def _is_due(self, progress: Progress) -> bool:
        now, tenth = self._clock(), TENTHS * progress.epoch // max(progress.epochs, 1)
        if (progress.stage, progress.epochs) != self._stage:
            self._stage, self._last_line, self._last_tenth = (progress.stage, progress.epochs), -math.inf, -1
        waited = now - self._last_line
        due = waited >= MAX_PAUSE or (tenth > self._last_tenth and waited >= MIN_PAUSE)
        if due:
            self._last_line, self._last_tenth = now, tenth
        return due

    def _move_bar(self, progress: Progress) -> None:
        if (progress.stage, progress.epochs) != self._stage:
            self._end_bar()
            self._stage = progress.stage, progress.epochs
        with unless_broken(sys.stderr):
            if not self._bar:
                self._bar = _start_bar(progress)
            bar, task = self._bar
            bar.update(task, completed=progress.epoch, state=_state(progress))

    def _end_bar(self) -> None:
        if self._bar:
            with unless_broken(sys.stderr):
                self._bar[0].stop()
            self._bar, self._stage = None, None


def _start_bar(progress: Progress) -> tuple[Bar, TaskID]:
    from rich.console import Console as Screen
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    plain = {"markup": False}
    columns = (TextColumn("{task.description}", **plain), BarColumn(20), TextColumn("{task.fields[state]}", **plain))  # type: ignore[arg-type]
    # No redirection: `Console` writes the result and its own lines to stdout and stderr.
    bar = Bar(*columns, console=Screen(file=sys.stderr), redirect_stdout=False, redirect_stderr=False)
    bar.start()
    return bar, bar.add_task(_stage_name(progress), total=progress.epochs, state="")


def _stage_name(progress: Progress) -> str:
    return STAGES.get(progress.stage, progress.stage)


def _state(progress: Progress) -> str:
    validation = "" if progress.validation_loss is None else f", validation {progress.validation_loss:.4g}"
    left = f", {duration(progress.seconds_left)} left" if math.isfinite(progress.seconds_left) else ""
    return f"epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.4g}{validation}{left}"


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _draw(header: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich import box
    from rich.console import Console as Screen
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, to_right in zip(header, right, strict=True):
        table.add_column(Text(name), justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))  # Text: brackets in a name are not markup
    Screen(file=sys.stdout).print(table)


def _align(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(right))]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value)) or "none"
    return str(value)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"


def _tell(text: str) -> None:
    """A line on stderr. Where it cannot be written (a full log, a reader that has gone), the work goes on without it."""
    with unless_broken(sys.stderr):
        _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # the caller closed it
        return
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()
