"""A time limit ends a forecast whatever its graph does, and the other jobs go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forecaster.serving.manifest import read_manifest, write_manifest
from tests.commands.batch.test_run import children, is_running, wait_for
from tests.support.stored_models import stored, write_endless_graph

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes as Linux lists them"),
]
JOBS = """
status = "status.json"
[defaults]
data = "data.csv"
timeout = "{timeout}"
[jobs.before]
model = "m"
output = "before.csv"
[jobs.endless]
model = "endless"
output = "endless.csv"
[jobs.after]
model = "m"
output = "after.csv"
"""


@pytest.fixture
def endless(shop):
    """The shop with a model whose graph never comes back."""
    stored(shop / "models", name="endless")
    folder = shop / "models" / "endless" / "1"
    write_endless_graph(folder / "model.onnx")
    write_manifest(folder, read_manifest(folder))
    return shop


def batch(folder, timeout):
    """A batch that is running."""
    (folder / "jobs.toml").write_text(JOBS.format(timeout=timeout))
    command = [sys.executable, "-m", "forecaster", "batch", str(folder / "jobs.toml")]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines(process):
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    found = [json.loads(line) for line in out.splitlines()]
    return {line["job"]: line for line in found if "job" in line}


def expect_rest(folder, found, kind):
    assert [found[name]["status"] for name in ("before", "endless", "after")] == ["done", "failed", "done"]
    assert found["endless"]["error"]["kind"] == kind
    assert (folder / "after.csv").is_file() and not (folder / "endless.csv").exists()


def test_a_graph_that_never_comes_back_is_ended_and_the_rest_go_on(endless):
    with batch(endless, "1s") as process:
        expect_rest(endless, lines(process), "timeout")
    assert process.returncode == 7
    assert json.loads((endless / "status.json").read_text())["jobs"]["endless"]["last_code"] == 75
    # What the ended process left beside its output, the next run removes.
    (endless / "jobs.toml").write_text(JOBS.format(timeout="1m").replace('model = "endless"', 'model = "m"'))
    subprocess.run(
        [sys.executable, "-m", "forecaster", "batch", str(endless / "jobs.toml"), "--quiet"], cwd=ROOT, check=True
    )
    assert not list(endless.glob(".forecast-*"))


def test_a_process_that_the_system_ends_costs_its_own_job_only(endless):
    with batch(endless, "1m") as process:
        wait_for(lambda: (endless / "before.csv").exists())
        (worker,) = children(process.pid)
        time.sleep(0.5)
        os.kill(worker, signal.SIGKILL)
        found = lines(process)
    expect_rest(endless, found, "killed")
    assert "memory" in found["endless"]["error"]["message"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_batch_that_is_ended_leaves_no_process_behind(endless, number):
    with batch(endless, "1m") as process:
        wait_for(lambda: (endless / "before.csv").exists())
        (worker,) = children(process.pid)
        process.send_signal(number)
        process.communicate(timeout=60)
    wait_for(lambda: not is_running(worker))


def test_notes_and_warnings_reach_the_batch(endless):
    (endless / "jobs.toml").write_text(
        '[jobs.one]\ndata = "data.csv"\nmodel = "gone"\nfallback = true\ntimeout = "1m"\noutput = "one.csv"\nledger = "l.db"\n'
    )
    command = [sys.executable, "-m", "forecaster", "batch", str(endless / "jobs.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "warning: seasonal naive for every series" in done.stderr and "48 of 48 forecasts are new" in done.stderr
