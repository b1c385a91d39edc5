"""The backtest of the pretrained networks on a user's data, of which they have seen no row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import DataError
from forecaster.evaluation.backtest import Backtest, backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout, oldest_cutoffs
from forecaster.serving.zero_shot import NONE, ZeroShot

if TYPE_CHECKING:
    from collections.abc import Sequence

CALIBRATED = "on windows of the rows before the test windows, as `predict` does"


def zero_shot_backtest(made: ZeroShot, levels: Sequence[float], count: int, *, learned: bool) -> Backtest:
    """Backtest on the latest `count` windows of each series, a horizon apart.

    `learned`: the baselines that have to be fitted, too. Quantiles are learnt from earlier windows alone, as `predict` does.
    DataError where no window has enough rows before it.
    """
    panel, horizon = made.panel, made.horizon
    windows = holdout_windows(panel, horizon, count)
    made = replace(made, ends=oldest_cutoffs(windows, panel.offsets[1:]))
    windows = windows.take(np.flatnonzero(made.choose(windows) != NONE))
    if not len(windows):
        raise DataError(f"{panel.source}: no series has rows for a test window of {horizon} steps.", "Give more rows.")
    each = f"the latest {count} window{'s' if count > 1 else ''} of each series"
    holdout = make_holdout(
        panel,
        windows,
        horizon=horizon,
        context_length=max(network.context_length for network in made.networks),
        description=f"{each}, by a network that has seen none of the data",
    )
    found = backtest(
        holdout,
        made.forecast(holdout.windows, levels),
        tuple(levels),
        baseline_forecasts(holdout, learned=learned),
    )
    if not levels or not any(made.calibrations):
        return found
    raw = replace(made, calibrated=False).forecast(holdout.windows, levels)
    return replace(found, raw=raw[:, :, 1:], calibrated=CALIBRATED)
