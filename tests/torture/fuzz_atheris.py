"""Any bytes make a panel or an error of one line; coverage guides what is tried: python -m tests.torture.fuzz_atheris [INPUTS].

Needs `pip install atheris`; where it is missing, this says so and ends. Atheris 3.0 never frees the result of a comparison of
arrays in the code that it instruments (1 kB each), so that a process grows by 90 kB an input: several processes, one after the
other, share the inputs and the folder of what was found.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

INPUTS = 60_000
INPUTS_OF_A_PROCESS = 10_000
MAX_SECONDS, MAX_MEMORY_MIB = 60, 2048  # seconds for one input, on whatever else the machine does; MiB of the process


def main() -> None:
    """Fuzz in processes one after the other, and print the counts of all; exit with the code of the first that fails."""
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    if importlib.util.find_spec("atheris") is None:
        print(json.dumps({"part": "fuzz_atheris", "inputs": 0, "why": "atheris is not installed", "seconds": 0}))
        return
    seen: Counter[str] = Counter()
    start = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))  # stays: what fails is in it
    (folder / "corpus").mkdir()
    for first in range(0, inputs, INPUTS_OF_A_PROCESS):
        count = min(INPUTS_OF_A_PROCESS, inputs - first)
        command = [sys.executable, "-m", "tests.torture.fuzz_atheris", str(count), str(folder)]
        code = subprocess.run(command, check=False).returncode
        counts = folder / "counts.json"
        if code or not counts.exists():
            sys.exit(code or 1)
        seen.update(json.loads(counts.read_text()))
        counts.unlink()
        seconds = round(time.monotonic() - start)
        print(json.dumps({"part": "fuzz_atheris", "inputs": seen.total(), **seen, "seconds": seconds}), flush=True)


def fuzz_here(inputs: int, folder: Path) -> None:
    """Fuzz in this process, which libFuzzer ends, from the corpus in `folder`. The counts go into its `counts.json`."""
    import atheris
    import numpy  # noqa: F401 - loaded before, and so not instrumented
    import pandas  # noqa: F401

    with atheris.instrument_imports(include=["forecaster.data"], enable_loader_override=False):
        from tests.support.csv_files import BAD, SCRAPS, ZONES, examine

    words = ["".join(f"\\x{byte:02x}" for byte in scrap) for scrap in SCRAPS]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in words))
    seen = Counter(read=0, refused=0)

    def fuzz(data: bytes) -> None:
        zone = ZONES[data[-1] % len(ZONES)] if data else None
        seen["read" if examine(data, folder / "fuzz.csv", zone) else "refused"] += 1
        if seen.total() == inputs:
            (folder / "counts.json").write_text(json.dumps(seen))

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
    if len(sys.argv) > 2:
        fuzz_here(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
