"""Environments in which programs fail: full disks, read-only folders, no HOME, LANG=C, closed streams, SIGTERM, many
processes at once, few resources, an unknown user: python -m tests.torture.environments.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecaster.serving.store import Store
from tests.support.stored_models import stored, write_csv
from tests.torture.kill import TRAIN, answers, preload
from tests.torture.sandbox import OUTPUTS, batch, check, exit_code, fork, leftovers, make_sandbox, read_outputs

ROOT = Path(__file__).parents[2]
WITHOUT_CAPABILITIES = "setpriv --bounding-set=-dac_override,-dac_read_search"


def run(
    folder: Path,
    *words: str,
    shell: str = "",
    variables: Mapping[str, str] | None = None,
    timeout: float = 120,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run `forecaster WORDS…` in `folder`, or a shell command in which $F is `forecaster`. Empty variables are unset."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "F": f"{sys.executable} -m forecaster"}
    for name, value in (variables or {}).items():
        environment.pop(name, None)
        if value:
            environment[name] = value
    command = ["bash", "-c", shell] if shell else [sys.executable, "-m", "forecaster", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False, **options
    )


def expect(done: subprocess.CompletedProcess[str], code: int, what: str) -> None:
    """Check the exit code, and that there is no traceback."""
    check(done.returncode == code and "Traceback" not in done.stderr, f"{what}: {done.returncode} {done.stderr[-500:]}")


def full_disk(folder: Path) -> str:
    """On a full disk the old output stays, no partial file is left, and the exit code is 2 or 7. How it was filled."""
    make_sandbox(folder)
    small = folder / "small"
    small.mkdir()
    words = ["predict", "data.csv", "--model", "m", "--quiet", "--horizon", "2000", "--output", "small/out.csv"]
    (small / "out.csv").write_text("old\n")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            (small / "out.csv").write_text("old\n")
            expect(run(folder, *words), 2, "a full disk")
            left = sorted(path.name for path in small.iterdir())
        finally:
            subprocess.run(["umount", str(small)], check=True)
    else:
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))  # noqa: E731
        expect(run(folder, *words, preexec_fn=limit), 2, "a full disk")
        left = sorted(path.name for path in small.iterdir())
        check((small / "out.csv").read_text() == "old\n", "the old output stays")
    check(left == ["out.csv"], f"nothing is left on the full disk: {left}")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # noqa: E731
    done = run(folder, "batch", "jobs.toml", "--quiet", preexec_fn=limit)
    check(done.returncode == 7 and "Traceback" not in done.stderr, f"a batch on a full disk: {done.stderr[-300:]}")
    check(len(done.stdout.splitlines()) == 4, "every job has its line")
    return "tmpfs" if mounted.returncode == 0 else "file size limit"


def read_only(folder: Path) -> str:
    """In a read-only folder `predict` to stdout works, and writing fails with an error of one line. How it was tried."""
    make_sandbox(folder)
    # Root may write anywhere, unless it drops that capability.
    plain = f"{WITHOUT_CAPABILITIES} $F" if os.getuid() == 0 else "$F"
    if os.getuid() == 0 and not shutil.which("setpriv"):
        return "not tried: run as a user other than root"
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    predict = f"{plain} predict data.csv --model m --quiet"
    expect(run(folder, shell=predict), 0, "reading from a read-only folder")
    expect(run(folder, shell=f"{predict} --output no.csv"), 2, "writing to a read-only folder")
    expect(run(folder, shell=f"{predict} --ledger no.db"), 2, "a ledger in a read-only folder")
    expect(run(folder, shell=f"{plain} models rollback m 1"), 2, "writing to a read-only store")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    check(leftovers(folder) == [], "no leftovers")
    return "as a user who may not write"


def minimal_environment(folder: Path) -> int:
    """No HOME, LANG=C, no terminal, closed streams, a full log, the clock set back. The number of these."""
    make_sandbox(folder)
    predict = "$F predict data.csv --model m --quiet"
    expect(run(folder, shell=predict, variables={"HOME": "", "USER": "", "XDG_CACHE_HOME": ""}), 0, "no HOME")
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    expect(run(folder, shell=predict, variables=plain), 0, "LANG=C")
    expect(run(folder, shell=f"{predict} --horizon 5000 | head -n 1; exit ${{PIPESTATUS[0]}}"), 141, "| head")
    expect(run(folder, shell=f"{predict} --output closed.csv >&- 2>&- <&-"), 0, "closed streams")
    check((folder / "closed.csv").stat().st_size > 100, "the output is there with closed streams")
    expect(run(folder, shell="$F batch jobs.toml --quiet >&-"), 0, "batch with a closed stdout")
    expect(run(folder, shell="$F batch jobs.toml --quiet --force > /dev/full"), 2, "batch into a full log")
    status = folder / "status.json"
    status.write_text(status.read_text().replace("20", "29", 1))
    expect(run(folder, "batch", "jobs.toml", "--quiet"), 0, "the clock set back")
    check(leftovers(folder) == [], f"no leftovers: {leftovers(folder)}")
    return 7


def deleted_while_read(folder: Path) -> int:
    """While the data is rewritten, `predict` forecasts from one of its states, or gives an error about the data. Runs."""
    preload()
    make_sandbox(folder)
    short, long = (folder / "data.csv").read_bytes()[:1500], (folder / "data.csv").read_bytes()

    def rewrite() -> int:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            (folder / "data.csv").write_bytes(short)
            (folder / "data.csv").unlink()
            (folder / "data.csv").write_bytes(long)
        return 0

    writer = fork(rewrite)
    codes: list[int] = []
    while len(codes) < 8:
        codes.append(exit_code(fork(answers, folder, folder / "models")))
    exit_code(writer)
    check(set(codes) <= {0, 3}, f"whole forecasts, or errors about the data: {codes}")
    return len(codes)


def terminated(folder: Path) -> int:
    """SIGTERM at any moment releases the locks, and the next run leaves no temporary files. The number of runs."""
    preload()
    make_sandbox(folder)
    check(exit_code(fork(batch, folder)) == 0, "the jobs run")
    expected = read_outputs(folder)
    for attempt in range(5):
        pid = fork(batch, folder, "--force")
        time.sleep(0.02 + 0.06 * attempt)
        os.kill(pid, signal.SIGTERM)
        check(exit_code(pid) in (0, 143, -15), "SIGTERM ends it")
        check(all(content == expected[name] for name, content in read_outputs(folder).items()), "outputs are whole")
    check(exit_code(fork(batch, folder, "--force")) == 0, "the next run works")
    check(leftovers(folder) == [], f"no leftovers: {leftovers(folder)}")
    return 5


def crowd(folder: Path, count: int = 20) -> dict[str, int]:
    """Processes that publish, prune and predict use one store at once, and so do batches. Counts."""
    preload()
    make_sandbox(folder)
    models = folder / "models"

    def publish() -> int:
        with Store(models).training("m", 60.0):
            stored(models)
        return 0

    def prune() -> int:
        Store(models).prune("m", 2)
        return 0

    def predict() -> int:
        return answers(folder, models)

    work = [(publish, predict, prune, predict)[n % 4] for n in range(count)]
    codes = [exit_code(pid) for pid in [fork(one) for one in work]]
    check(codes == [0] * count, f"all end well: {codes}")
    published = work.count(publish) + 1
    check(Store(models).versions("m")[-1] == published, "no version was lost")
    check(Store(models).current("m") == published, "the latest serves")
    pids = [fork(batch, folder, "--force") for _ in range(count)]
    codes = [exit_code(pid) for pid in pids]
    check(set(codes) <= {0, 75}, f"every job is done by one, the others find it locked: {codes}")
    check(read_outputs(folder).keys() == set(OUTPUTS), "every output is there")
    check(exit_code(fork(_waiting, folder)) == 0, "a run that waits gets its turn")
    check(leftovers(folder) == [], f"no leftovers: {leftovers(folder)}")
    return {"processes": 2 * count, "found a lock": codes.count(75)}


def _waiting(folder: Path) -> int:
    pids = [fork(batch, folder, "--force", "--wait", "30s") for _ in range(4)]
    return max(exit_code(pid) for pid in pids)


def unknown_user(folder: Path) -> str:
    """A whole training as a user that the system does not know, without HOME, leaves nothing but its store. How it was tried."""
    folder.chmod(0o777)
    write_csv(folder / "data.csv", 120)
    before = {path.name for path in folder.iterdir()}
    root = os.getuid() == 0
    if root and not shutil.which("setpriv"):
        return "not tried: run as a user other than root"
    # The capability is for Python itself, which may be installed where only root reads.
    read = "--inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
    plain = f"setpriv --reuid=54321 --regid=54321 --clear-groups {read} $F" if root else "$F"
    nowhere = {"HOME": "", "USER": "", "LOGNAME": "", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    expect(run(folder, shell=f"{plain} train data.csv {TRAIN}", variables=nowhere, timeout=900), 0, "an unknown user")
    expect(run(folder, shell=f"{plain} predict data.csv --model m --quiet", variables=nowhere), 0, "its forecast")
    left = {path.name for path in folder.iterdir()} - before
    check(left == {"models"}, f"nothing but the store is left: {left}")
    return "as a user without a name" if root else "without HOME only"


def few_resources(folder: Path) -> dict[str, int]:
    """Few files, little memory, a short stack, no room for output: done, or one line. Counts."""
    make_sandbox(folder)
    done = refused = 0
    # With less than 120 to 140 MB, by the machine, OpenBLAS ends the process.
    for limit in (
        "-n 5",
        "-n 8",
        "-n 16",
        "-u 3",
        "-s 256",
        "-f 0",
        *(f"-v {size}000" for size in range(160, 420, 10)),
    ):
        found = run(folder, shell=f"ulimit {limit}; $F predict data.csv --model m --quiet --output one.csv")
        check("Traceback" not in found.stderr, f"no traceback with ulimit {limit}: {found.stderr[-300:]}")
        check(found.returncode in (0, 2), f"a documented exit code with ulimit {limit}: {found.returncode}")
        done += found.returncode == 0
        refused += found.returncode == 2
    return {"done": done, "one line": refused}


ENVIRONMENTS = (
    full_disk, read_only, minimal_environment, deleted_while_read, terminated, crowd, few_resources, unknown_user,
)  # fmt: skip


def main() -> None:
    """Try each environment in a folder of its own, and print the counts."""
    for environment in ENVIRONMENTS:
        began = time.monotonic()
        folder = Path(tempfile.mkdtemp())
        try:
            found = environment(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps({environment.__name__: found, "seconds": round(time.monotonic() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
