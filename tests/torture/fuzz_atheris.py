"""Any bytes make a panel or an error of one line; coverage guides what is tried: python -m tests.torture.fuzz_atheris [INPUTS].

Needs `pip install atheris`; where it is missing, this says so and ends.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

INPUTS = 60_000
MAX_SECONDS, MAX_MEMORY_MIB = 60, 2048  # seconds for one input, on whatever else the machine does; MiB of the process


def main() -> None:
    """Fuzz, and print the counts."""
    try:
        import atheris
    except ImportError:
        print(json.dumps({"part": "fuzz_atheris", "inputs": 0, "why": "atheris is not installed"}))
        return
    import numpy  # noqa: F401 - loaded before, and so not instrumented
    import pandas  # noqa: F401

    with atheris.instrument_imports(include=["forecaster.data"], enable_loader_override=False):
        from tests.support.csv_files import BAD, SCRAPS, ZONES, examine

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (folder / "corpus").mkdir()
    words = ["".join(f"\\x{byte:02x}" for byte in scrap) for scrap in SCRAPS]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in words))

    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    seen: Counter[str] = Counter()
    start = time.monotonic()

    def fuzz(data: bytes) -> None:
        zone = ZONES[data[-1] % len(ZONES)] if data else None
        seen["read" if examine(data, folder / "fuzz.csv", zone) else "refused"] += 1
        if seen.total() == inputs:  # libFuzzer ends the process
            counts = {"inputs": inputs, "read": seen["read"], "refused": seen["refused"]}
            seconds = round(time.monotonic() - start)
            print(json.dumps({"part": "fuzz_atheris", **counts, "seconds": seconds}), flush=True)

    options = [
        f"-runs={inputs}",
        f"-timeout={MAX_SECONDS}",
        f"-rss_limit_mb={MAX_MEMORY_MIB}",
        f"-dict={folder / 'words'}",
    ]
    options += ["-max_len=2048", "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus"), str(BAD)], fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
