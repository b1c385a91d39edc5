"""`TF_CONFIG` as TensorFlow's strategies read it; what is malformed is told in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.engines import worker_group
from forecaster.engines.tf_config import cluster_of
from forecaster.engines.worker_group import WorkerGroup
from forecaster.errors import DataError, UsageError

HOSTS = ["a:2222", "b:2222"]


def environ(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_workers_have_the_order_of_the_cluster():
    found = cluster_of(environ({"worker": HOSTS}, {"type": "worker", "index": 1}))
    assert found is not None
    assert found.names == ("worker 0 (a:2222)", "worker 1 (b:2222)")
    assert found.index == 1 and not found.is_first


def test_a_chief_is_the_first():
    cluster = {"chief": ["c:1"], "worker": HOSTS}
    assert cluster_of(environ(cluster, {"type": "chief", "index": 0})).is_first
    worker = cluster_of(environ(cluster, {"type": "worker", "index": "0"}))
    assert worker.own_name == "worker 0 (a:2222)" and worker.index == 1 and len(worker.names) == 3


@pytest.mark.parametrize(
    "value", ["", " ", "{}", json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}})]
)
def test_nobody_else_is_no_cluster(value):
    assert cluster_of({"TF_CONFIG": value}) is None and cluster_of({}) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("{", "it is not a JSON object"),
        ("[1]", "it is not a JSON object"),
        (json.dumps({"cluster": {"worker": HOSTS}}), "it needs a cluster and a task"),
        (json.dumps({"cluster": {"worker": "a:1"}, "task": {"type": "worker"}}), "cluster.worker is not a list"),
        (json.dumps({"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker"}}), "'b', which is not HOST:PORT"),
        (json.dumps({"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker"}}), "an address is there twice"),
        (json.dumps({"cluster": {"worker": HOSTS}, "task": {"type": "worker", "index": 2}}), "no task 'worker' 2"),
        (
            json.dumps({"cluster": {"worker": HOSTS}, "task": {"type": "worker", "index": "x"}}),
            "'x', which is not a num",
        ),
        (
            json.dumps({"cluster": {"worker": HOSTS, "ps": ["p:1"]}, "task": {"type": "ps", "index": 0}}),
            "no task 'ps' 0",
        ),
        (json.dumps({"cluster": {"chief": HOSTS}, "task": {"type": "chief"}}), "more than one chief"),
    ],
)
def test_a_malformed_value_is_told_in_one_line(value, why, monkeypatch, capfd):
    monkeypatch.setenv("TF_CONFIG", value)
    assert run(["train", "absent.csv"]) == 2
    said = capfd.readouterr()
    assert why in said.err and said.err.startswith("error: TF_CONFIG: ") and said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize("option", ["--resume", "--engine=ray"])
def test_options_of_one_process_are_refused(option, monkeypatch, capfd):
    monkeypatch.setenv("TF_CONFIG", environ({"worker": HOSTS}, {"type": "worker", "index": 0})["TF_CONFIG"])
    assert run(["train", "absent.csv", option]) == 2
    assert f"{option.replace('=', ' ')} has no effect on the workers of TF_CONFIG" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("other", "error", "what"),
    [
        ({"version": "2"}, UsageError, "another version of this program than worker 0 (a:2222)"),
        ({"rows": "y"}, DataError, "has other rows than worker 0"),
        (
            {"options": {"horizon": 5, "seed": 0}},
            UsageError,
            "worker 1 (b:2222) has another --horizon than worker 0 (a:2222)",
        ),
    ],
)
def test_another_version_data_or_option_is_named(other, error, what, monkeypatch):
    """What the other worker would add to the sum is added here."""
    own = {"rows": "x", "options": {"horizon": 4, "seed": 0}}
    first, second = (
        WorkerGroup(cluster_of(environ({"worker": HOSTS}, {"type": "worker", "index": index})), None)
        for index in (0, 1)
    )
    sums = [np.zeros(8)]
    monkeypatch.setattr(worker_group._Collective, "total", lambda _, values: sums.append(sums[-1] + values) or sums[-1])
    with monkeypatch.context() as patch, pytest.raises(UsageError):  # nothing has come of the first yet
        patch.setattr(worker_group, "__version__", other.get("version", worker_group.__version__))
        second.refuse_differences(**{**own, **{name: value for name, value in other.items() if name != "version"}})
    with pytest.raises(error) as found:
        first.refuse_differences(**own)
    assert what in found.value.message


def test_the_same_options_are_those_of_every_worker(monkeypatch):
    first, second = (
        WorkerGroup(cluster_of(environ({"worker": HOSTS}, {"type": "worker", "index": index})), None)
        for index in (0, 1)
    )
    sent = []
    monkeypatch.setattr(worker_group._Collective, "total", lambda _, values: sent.append(values) or 2.0 * values)
    for one in (first, second):
        with pytest.raises(UsageError):
            one.refuse_differences("x", {"seed": 0})
    whole = sum(sent)
    monkeypatch.setattr(worker_group._Collective, "total", lambda _, values: whole)
    first.refuse_differences("x", {"seed": 0})
