"""The backtest of the pretrained networks on a user's data, of which they have seen no row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import ArtifactError, DataError
from forecaster.evaluation.backtest import Backtest, backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.serving.pretrained import find_network
from forecaster.serving.zero_shot import NONE, ZeroShot, open_pretrained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecaster.evaluation.metrics import Scores
    from forecaster.typing import Watch

CALIBRATED = "on windows of the rows before the test windows, as `predict` does"


def zero_shot_backtest(made: ZeroShot, levels: Sequence[float], count: int, *, learned: bool) -> Backtest:
    """Backtest on the latest `count` windows of each series, a horizon apart.

    `learned`: the baselines that have to be fitted, too. Quantiles are learnt from earlier windows alone, as `predict` does.
    DataError where no window has enough rows before it.
    """
    panel, horizon = made.panel, made.horizon
    windows = holdout_windows(panel, horizon, count)
    made = replace(made, ends=windows.first_cutoffs(panel.offsets[1:]))
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
    if not levels or not made.has_calibration:
        return found
    raw = replace(made, calibrated=False).forecast(holdout.windows, levels)
    return replace(found, raw=raw[:, :, 1:], calibrated=CALIBRATED)


def pretrained_scores(tested: Backtest, watch: Watch) -> Scores | None:
    """Scores of the pretrained network for the data's season on the windows of a backtest.

    None where no network knows the season, or a window has too few rows for it. A damaged network is warned of.
    """
    holdout = tested.holdout
    season = holdout.panel.season_length
    try:
        if find_network(season)[0] is None:
            return None
        ends = holdout.windows.first_cutoffs(holdout.panel.offsets[1:])
        made = ZeroShot(open_pretrained(season), holdout.panel, ends, holdout.horizon, calibrated=False)
        found = made.forecast(holdout.windows, ())[:, :, 0]
    except ArtifactError as error:
        watch.warn(error.message)
        return None
    return None if np.isnan(found).any() else holdout.scores(found)
