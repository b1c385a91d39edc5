"""What is printed, and where."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
import threading

import pytest

from forecaster.cli.console import Console, duration
from forecaster.errors import DataError
from forecaster.typing import Progress, Watch


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def at(epoch: int, epochs: int = 100, stage: str = "test") -> Progress:
    return Progress(stage, epoch, epochs, 0.5, None if epoch % 2 else 0.25, 125.0)


class Terminal:
    """A terminal in place of stdout or stderr, and what was written to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        ours, theirs = pty.openpty()
        self._stream = os.fdopen(theirs, "w", encoding="utf-8")
        self._parts: list[bytes] = []
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()
        monkeypatch.setattr(sys, name, self._stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "60")

    def _read(self, descriptor: int) -> None:
        try:
            while part := os.read(descriptor, 1 << 16):
                self._parts.append(part)
        except OSError:  # the other end was closed
            pass

    def text(self) -> str:
        self._stream.close()
        self._reader.join(5)
        return b"".join(self._parts).decode()


def test_a_console_is_a_watch() -> None:
    watch: Watch = Console()
    assert watch


def test_notes_go_to_stderr_and_results_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.note("read 3 rows")
    console.warn("2 gaps")
    console.line("done")
    assert capfd.readouterr() == ("done\n", "read 3 rows\nwarning: 2 gaps\n")


def test_quiet_leaves_results_and_errors(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.note("read 3 rows")
    console.warn("2 gaps")
    console.progress(at(1))
    console.line("done")
    console.error(DataError("a.csv:3: bad.", "Mend it."))
    assert capfd.readouterr() == ("done\n", "error: a.csv:3: bad. Mend it.\n")


def test_an_error_in_json_has_code_kind_message_and_hint(capfd: pytest.CaptureFixture[str]) -> None:
    Console(json=True).error(DataError("a.csv:3: bad.", "Mend it."))
    fault = {"code": 3, "kind": "data", "message": "a.csv:3: bad.", "hint": "Mend it."}
    assert json.loads(capfd.readouterr().err) == {"error": fault}


def test_json_never_holds_nan(capfd: pytest.CaptureFixture[str]) -> None:
    Console(json=True).result({"a": [float("nan"), (float("inf"), 1.5)], "b": {"c": 1, "d": None, "e": "x"}})
    assert capfd.readouterr().out == '{"a": [null, [null, 1.5]], "b": {"c": 1, "d": null, "e": "x"}}\n'


def test_a_table_is_plain_and_aligned_where_no_terminal_is(capfd: pytest.CaptureFixture[str]) -> None:
    Console().table(
        ["", "MAE", "on"], [["gru", 1.23456, True], ["seasonal naive", float("nan"), False], ["x", None, True]]
    )
    assert capfd.readouterr().out.splitlines() == [
        "                  MAE  on",
        "gru             1.235  yes",
        "seasonal naive      -  no",
        "x                   -  yes",
    ]


def test_a_table_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, "stdout")
    Console().table(["name", "MAE"], [["[bold]", 1.0]])
    text = terminal.text()
    assert "─" in text and "[bold]" in text  # a name is never markup


def test_without_a_terminal_progress_is_a_line_per_tenth_and_five_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    console = Console(clock=clock)
    for epoch in range(1, 101):
        clock.now += 1.0
        console.progress(at(epoch))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "test fit: epoch 1/100, loss 0.5, 2 min 5 s left"
    assert lines[1] == "test fit: epoch 10/100, loss 0.5, validation 0.25, 2 min 5 s left"


def test_fast_training_prints_few_lines_and_slow_training_one_a_minute(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    console = Console(clock=clock)
    for epoch in range(1, 101):
        clock.now += 0.1
        console.progress(at(epoch))
    assert len(capfd.readouterr().err.splitlines()) == 2
    for epoch in range(1, 4):
        clock.now += 61.0
        console.progress(at(epoch, 1000, "final"))
    assert len(capfd.readouterr().err.splitlines()) == 3


def test_on_a_terminal_progress_is_a_bar_with_notes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, "stderr")
    monkeypatch.setenv("COLUMNS", "120")
    with Console() as console:
        console.progress(at(1))
        console.note("[a note]")
        console.progress(at(2))
        console.progress(at(1, stage="final"))
    text = terminal.text()
    assert "[a note]" in text and "validation 0.25" in text and "final fit" in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_a_stream_that_cannot_encode_a_name_gets_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    Console().table(["model"], [["Zürich"]])
    stream.seek(0)
    assert stream.read() == "model\nZ?rich\n"


def test_a_closed_stream_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    console = Console()
    console.note("a")
    console.progress(at(1))
    console.table(["a"], [[1]])


@pytest.mark.parametrize(("seconds", "text"), [(8.4, "8 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "fault", [OSError(28, "No space left on device"), BrokenPipeError(32, "Broken pipe"), ValueError("closed")]
)
def test_a_console_whose_stderr_fails_goes_on(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise fault

    monkeypatch.setattr(sys, "stderr", Broken())
    with Console() as console:
        console.note("a note")
        console.warn("a warning")
        console.progress(Progress("test", 1, 10, 0.5, None, 3.0))
        console.error(DataError("a fault."))
        console.drawing(lambda *given: "a drawing", result=False)


NASTY = {
    "\x1b[2J\x1b[31mred": r"\x1b[2J\x1b[31mred",
    "a\nerror: b": r"a\nerror: b",
    "a\rb\tc\x00\x7f\x9b": r"a\rb\tc\x00\x7f\x9b",
    "a\u2028b\u2029c\x85d": r"a\u2028b\u2029c\x85d",
    "txt.\u202eexe\u2066x\u200f": r"txt.\u202eexe\u2066x\u200f",
    "\udc80": r"\udc80",
    "\ufeffa\u200bb\u00ad": r"\ufeffa\u200bb\xad",
}


@pytest.mark.parametrize(("name", "shown"), NASTY.items())
def test_what_a_name_may_do_to_a_terminal_or_a_log_is_written_out(name, shown, capfd):
    console = Console()
    console.note(f"series '{name}'")
    console.warn(name)
    console.error(DataError(f"x{name}x"))
    console.line(f"{name}@1")
    console.table(["series", name], [[name, 1]])
    console.lines(f"{name}")
    out, err = capfd.readouterr()
    assert f"series '{shown}'" in err and f"warning: {shown}" in err
    assert f"{shown}@1" in out and f"{shown}  1" in " ".join(out.splitlines()[2].split()).replace(
        f"{shown} ", f"{shown}  "
    )
    assert all(c == "\n" or c.isprintable() for c in out + err)


@pytest.mark.parametrize("name", ["Zürich", "東京", "می\u200cخواهم", "क\u094d\u200dष", "1\u00a0000", "👩\u200d🚀"])
def test_letters_of_every_script_stay(name, capfd):
    Console().line(name)
    assert capfd.readouterr().out == name + "\n"
