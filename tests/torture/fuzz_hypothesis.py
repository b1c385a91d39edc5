"""Any bytes make a panel or an error of one line; Hypothesis draws them: python -m tests.torture.fuzz_hypothesis [INPUTS]."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.csv_files import FILES, ZONES, examine

INPUTS = 60_000
MAX_SECONDS = 5.0  # processor seconds for one input
MAX_GROWTH = 1 << 30  # bytes by which the process may grow, with what Hypothesis keeps of its inputs


def main() -> None:
    """Fuzz, and print the counts."""
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    seen: Counter[str] = Counter()
    start, slowest = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.csv"
        examine(b"timestamp,y\n2024-01-01,1\n2024-01-02,2\n", path)  # loads what reading needs
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        @settings(max_examples=inputs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(FILES, st.sampled_from(ZONES))
        def fuzz(content: bytes, zone: str | None) -> None:
            nonlocal slowest
            began = time.process_time()
            seen["read" if examine(content, path, zone) else "refused"] += 1
            slowest = max(slowest, time.process_time() - began)
            assert slowest < MAX_SECONDS, content

        fuzz()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < MAX_GROWTH, grown
    counts = {"inputs": seen.total(), "read": seen["read"], "refused": seen["refused"]}
    costs = {"slowest": round(slowest, 3), "grown_mib": grown >> 20, "seconds": round(time.monotonic() - start)}
    print(json.dumps({"part": "fuzz_hypothesis", **counts, **costs}))


if __name__ == "__main__":
    main()
