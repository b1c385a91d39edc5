"""Check that the plotting libraries, an optional extra, are installed before any work is done."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from forecaster.errors import UsageError, install_hint

TERMINAL = "-"

# Ending of a file -> the libraries that it needs. "-" is the terminal.
LIBRARIES = {
    ".html": ("matplotlib", "jinja2"),
    ".png": ("matplotlib",),
    ".svg": ("matplotlib",),
    ".pdf": ("matplotlib",),
    TERMINAL: ("uniplot",),
}


def check_plot_file(place: str, option: str, endings: tuple[str, ...]) -> None:
    """UsageError where `place`, given with `option`, has none of the `endings`, or its library is not installed."""
    ending = TERMINAL if place == TERMINAL else Path(place).suffix.lower()
    if ending not in endings:
        names = [f"FILE{known}" for known in endings if known != TERMINAL]
        files = " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        terminal = ", or - for the terminal" if TERMINAL in endings else ""
        raise UsageError(f"{option}: '{place}' is not a place to draw to.", f"Give {files}{terminal}.")
    for library in LIBRARIES[ending]:
        if find_spec(library) is None:
            raise UsageError(
                f"{option} is drawn with {library}, which is not installed.",
                install_hint("plot"),
            )
