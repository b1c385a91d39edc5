"""The most memory that this process holds while something runs. Linux only."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

STATM = Path("/proc/self/statm")
EVERY = 0.02  # seconds between two looks


def resident() -> int | None:
    """Bytes of this process in memory now; None where the system does not tell."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


class PeakMemory:
    """As a context: looks at what is resident every 20 ms, so that `bytes` is the most seen; None = the system does not tell.

    The kernel's own mark (VmHWM) would be exact, but it covers the process's whole life wherever it may not be reset.
    """

    def __init__(self) -> None:
        self.bytes: int | None = None
        self._done = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakMemory:
        gc.collect()
        self._note()
        if self.bytes is not None:
            self._looking.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._note()
        if self._looking.ident is not None:
            self._looking.join()

    def _note(self) -> None:
        now = resident()
        if now is not None:
            self.bytes = max(now, self.bytes or 0)

    def _look(self) -> None:
        while not self._done.wait(EVERY):
            self._note()
