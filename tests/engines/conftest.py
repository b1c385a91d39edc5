"""A small cluster of Ray, for all tests here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cluster():
    """Two nodes of one processor each. Workers find this checkout as this process does."""
    ray = pytest.importorskip("ray", reason="ray is not installed: `pip install '.[ray]'`")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        size = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
        found = Cluster(initialize_head=True, head_node_args=size)
        found.add_node(num_cpus=1, object_store_memory=100_000_000)
        try:
            yield found.address
        finally:
            ray.shutdown()
            found.shutdown()
