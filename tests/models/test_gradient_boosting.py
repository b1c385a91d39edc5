"""Boosted trees: each fit has one thread, whoever asks for it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_info, threadpool_limits

from forecaster.models.baselines import fit_gradient_boosting
from forecaster.models.gradient_boosting import fit_boosted_trees
from forecaster.typing import FloatArray


def baseline(read: FloatArray, wanted: FloatArray) -> None:
    """Fit the baseline, and forecast with it."""
    fit_gradient_boosting(read, wanted[:, None], 4, 0)(read)


@pytest.mark.parametrize("fitted", [lambda read, wanted: fit_boosted_trees(read, wanted, 3, 0), baseline])
def test_trees_have_one_thread_where_many_are_allowed(fitted, monkeypatch):
    """Threads that wait for each other made a fit of 4 s last 458 s beside two other processes."""
    seen = []

    def watched(name):
        method = getattr(HistGradientBoostingRegressor, name)

        def at_work(self, *given):
            seen.append([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"])
            return method(self, *given)

        return at_work

    for name in ("fit", "predict"):
        monkeypatch.setattr(HistGradientBoostingRegressor, name, watched(name))
    draws = np.random.default_rng(0)
    with threadpool_limits(4, user_api="openmp"):
        fitted(draws.normal(size=(200, 8)), draws.normal(size=200))
        after = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"]
    assert seen and all(pools and set(pools) == {1} for pools in seen)
    assert set(after) == {4}
