"""The peak memory of this process while something runs."""

from __future__ import annotations

import gc
import threading

POLL_SECONDS = 0.02  # between two measurements


class PeakMemory:
    """Context manager that measures the resident memory every 20 ms; `bytes` is the maximum.

    The kernel's own maximum (VmHWM) would be exact, but where it may not be reset it covers the whole life of the process.
    """

    def __init__(self) -> None:
        import psutil  # not installed where models only predict

        self.bytes = 0
        self._process = psutil.Process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> PeakMemory:
        gc.collect()
        self._note()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._note()
        self._thread.join()

    def _note(self) -> None:
        self.bytes = max(self.bytes, self._process.memory_info().rss)

    def _measure(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            self._note()
