"""Progress and warnings of a call from Python: a bar where somebody watches, warnings as Python's."""

from __future__ import annotations

import os
import sys
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.typing import Progress


class ForecasterWarning(UserWarning):
    """What the command line prints as a warning."""


class PythonWatch:
    """A `Watch` that shows fits as a bar of rich, in a terminal or a notebook, and raises warnings as `ForecasterWarning`."""

    def __init__(self, *, bar: bool | None = None) -> None:
        self._wanted = _somebody_watches() if bar is None else bar
        self._bar: Any = None
        self._stage: tuple[str, int] | None = None
        self._task: Any = None

    def __enter__(self) -> PythonWatch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def note(self, text: str) -> None:
        """Show nothing: results have what was inferred."""

    def warn(self, text: str) -> None:
        """Warn the caller, once for each line that calls."""
        warnings.warn(text, ForecasterWarning, stacklevel=2)

    def progress(self, progress: Progress) -> None:
        """Move the bar of the stage."""
        if not self._wanted:
            return
        if self._bar is None:
            from rich.progress import Progress as Bar

            self._bar = Bar(transient=True)
            self._bar.start()
        if self._stage != (progress.stage, progress.epochs):
            self._stage = (progress.stage, progress.epochs)
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(progress.stage, total=progress.epochs)
        self._bar.update(self._task, completed=progress.epoch)


def import_tensorflow_silently() -> None:
    """Import TensorFlow, if it is there and was not imported; what its C++ libraries write meanwhile is lost.

    They write before they read the level of their log.
    """
    if "tensorflow" in sys.modules or find_spec("tensorflow") is None:
        return
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow  # noqa: F401
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _somebody_watches() -> bool:
    """In a notebook, or at a terminal."""
    return "IPython" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
