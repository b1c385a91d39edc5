"""`TF_CONFIG`: the processes that train together, and which of them this one is, as TensorFlow's own strategies read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecaster.errors import UsageError, quoted

VARIABLE = "TF_CONFIG"
JOBS = ("chief", "worker")  # in this order; other kinds of task do not train
_EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of one training, in the order that all of them have: the first one stores the model."""

    names: tuple[str, ...]  # "worker 0 (a:2222)"
    addresses: tuple[str, ...]  # HOST:PORT
    index: int  # of this process among them

    @property
    def is_first(self) -> bool:
        """Whether this process stores the model."""
        return self.index == 0

    @property
    def own_name(self) -> str:
        """This process, in messages."""
        return self.names[self.index]


def cluster_of(environ: Mapping[str, str]) -> Cluster | None:
    """The cluster of `TF_CONFIG`; None where it is not set, or names no other process. UsageError where it is malformed."""
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _malformed("it is not a JSON object")
    cluster, task = found.get("cluster"), found.get("task")
    if not cluster and not task:
        return None
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise _malformed("it needs a cluster and a task")
    names: list[str] = []
    addresses: list[str] = []
    places: dict[tuple[object, int], int] = {}
    for job in JOBS:
        for i, address in enumerate(_addresses(cluster, job)):
            places[job, i] = len(names)
            names.append(f"{job} {i} ({address})")
            addresses.append(address)
    own = (task.get("type"), _index(task.get("index", 0)))
    if own not in places:
        raise _malformed(f"the cluster has no task {quoted(own[0])} {own[1]} that trains")
    if len(set(addresses)) < len(addresses):
        raise _malformed("an address is there twice")
    return Cluster(tuple(names), tuple(addresses), places[own]) if len(names) > 1 else None


def _addresses(cluster: dict[str, Any], job: str) -> list[str]:
    found = cluster.get(job, [])
    if not isinstance(found, list):
        raise _malformed(f"cluster.{job} is not a list")
    for address in found:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise _malformed(f"cluster.{job} has {quoted(address)}, which is not HOST:PORT")
    if job == "chief" and len(found) > 1:
        raise _malformed("there is more than one chief")
    return found


def _index(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise _malformed(f"task.index is {quoted(value)}, which is not a number") from None


def _malformed(why: str) -> UsageError:
    return UsageError(f"{VARIABLE}: {why}.", f"Expected e.g. {_EXAMPLE}, or unset it.")
