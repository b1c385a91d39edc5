"""The most memory that this process has held since it was last asked to forget. Linux only."""

from __future__ import annotations

import gc
import re
from pathlib import Path

SELF = Path("/proc/self")


def forget_peak() -> None:
    """Let the peak begin anew at what is held now."""
    gc.collect()
    try:
        (SELF / "clear_refs").write_text("5")
    except OSError:
        return


def peak_memory() -> int | None:
    """Bytes resident at most since `forget_peak`; None where the system does not tell."""
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB", (SELF / "status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None
