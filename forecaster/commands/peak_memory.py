"""The most memory that this process holds while something runs."""

from __future__ import annotations

import gc
import threading

POLL_SECONDS = 0.02  # between two looks


class PeakMemory:
    """As a context: looks at what is resident every 20 ms, so that `bytes` is the most seen.

    The kernel's own mark (VmHWM) would be exact, but it covers the process's whole life wherever it may not be reset.
    """

    def __init__(self) -> None:
        import psutil  # hosts that only predict do not have it

        self.bytes = 0
        self._process = psutil.Process()
        self._done = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakMemory:
        gc.collect()
        self._note()
        self._looking.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._note()
        self._looking.join()

    def _note(self) -> None:
        self.bytes = max(self.bytes, self._process.memory_info().rss)

    def _look(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            self._note()
