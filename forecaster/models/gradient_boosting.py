"""scikit-learn's gradient-boosted trees for absolute errors, each fitted on one thread.

Its OpenMP threads wait for each other after every node of every tree. Two save a third of the seconds where both processors are
free; where one is not, a fit of four seconds took 458.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from forecaster.typing import FloatArray

RATE = 0.1  # share of each tree that is added


def fit_boosted_trees(read: FloatArray, wanted: FloatArray, count: int, seed: int, depth: int | None = None) -> Any:
    """A HistGradientBoostingRegressor of `count` trees, of at most `depth` levels, of `wanted` [R] from `read` [R, F]."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    # Absolute errors: one row with a jump must not change the forecasts of all others.
    regressor = HistGradientBoostingRegressor(
        loss="absolute_error",
        learning_rate=RATE,
        max_iter=count,
        max_depth=depth,
        early_stopping=False,
        random_state=seed,
    )
    with on_one_thread():
        return regressor.fit(read, wanted)


def on_one_thread() -> AbstractContextManager[Any]:
    """Within it, this thread's fits and forecasts by scikit-learn's trees start no other thread."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="openmp")
    return limits
