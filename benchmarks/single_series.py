#!/usr/bin/env python3
"""What is fitted to nothing, on single series: its shares, and when a simple method serves in its place.

    python benchmarks/single_series.py --root DIR [--sets NAME ...] [--series 300]

DIR is described in accuracy.py. No network is fitted. Each series of a set is one of its own: the last horizon of its *training*
part is unseen, and windows of the rows before it are its history, as in a training. The made series are those of generated.py.
Writes two tables into ABLATIONS.md: MASE of each rule over that of the rule before.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from generated import KINDS, ROWS
from missing_ends import SETS
from results import ABLATIONS, write_section

from forecaster.config import TrainSettings
from forecaster.data.extra_inputs import Needs
from forecaster.data.reading.reader import read_panel
from forecaster.data.windows import rolling
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING, Smoothing, smoothing_length
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE
from forecaster.models.theta import THETA, THETA_SHARE
from forecaster.training.auto_plan import draft_plan
from forecaster.training.combination import (
    ESTIMATION_GAIN,
    FAR_LOWER,
    LAST_VALUE_SHARE,
    MAX_DRIFT,
    SMOOTHING_GAIN,
    is_clearly_better,
)
from forecaster.training.ensemble_selection import USUAL_STRETCHES, ensemble_shares, near_best
from forecaster.training.evaluation_set import EvaluationSet
from forecaster.training.member_networks import new_network, pretrained_settings
from forecaster.training.memory_forecasts import smoothed
from forecaster.training.plan import UNTOUCHED
from forecaster.training.selection_plan import theta_lengths
from forecaster.training.split import history_windows

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.data.panel import Panel
    from forecaster.training.ensemble_selection import Component
    from forecaster.typing import FloatArray, IntArray

PRETRAINED = "pretrained"
MADE_SERIES, MADE_HORIZON = 100, 12
TEXT = """`python benchmarks/single_series.py --root DIR`: no network is fitted; each series is one of its own, and the last
horizon of its training part is unseen. MASE, and over it that of other rules.

Shares of the pretrained network and of Theta or smoothing. *History*: by the errors over the history, and smoothing where its
error there is 5 % lower than Theta's (before). *Clearly*: smoothing only where its error is also clearly lower, by a t-test over
stretches of a horizon or below two thirds. *Half*, *usual*: then shares half or all of the way to 60 and 40 %. *Kept*: as far as
the stretches of the history are few beside twelve.

"""
CHOICE = """

Then a simple method, the one with the lowest error over the history, or what these shares make. *Before*: the one with the lower
error over the history, by the shares of the history. *Lower*: the same by the shares kept, the simple method in this *share* of
series; *half*: half of both there; *never*; *clearly*: where its error is clearly lower, as above; *kept*: as that, but half of
the last value beside the network where its error is the lower one.

"""


@dataclass(frozen=True)
class Candidate:
    """Forecasts of one series: of the windows of its history [W, H], and of its last one [1, H]."""

    before: FloatArray
    after: FloatArray

    def mixed(self, other: Candidate, share: float) -> Candidate:
        """This one, with a share of another."""
        pairs = ((self.before, other.before), (self.after, other.after))
        return Candidate(*((1.0 - share) * own + share * theirs for own, theirs in pairs))


def rows_of(name: str, root: Path, most: int) -> tuple[pd.DataFrame, int]:
    """The rows of some series, and the horizon."""
    import pandas as pd

    rng = np.random.default_rng(0)
    if name in SETS:
        frame = pd.read_csv(root / "data" / name / "train.csv.gz")
        names = frame["series"].unique()
        return frame[frame["series"].isin(rng.choice(names, min(len(names), most), replace=False))], SETS[name][0]
    stamps, t = pd.date_range("2010-01-01", periods=ROWS, freq="MS"), np.arange(float(ROWS))
    made = [pd.DataFrame({"series": i, "timestamp": stamps, "target": KINDS[name](rng, t)}) for i in range(MADE_SERIES)]
    return pd.concat(made), MADE_HORIZON


def forecasts(panel: Panel, horizon: int) -> tuple[EvaluationSet, EvaluationSet, dict[str, Candidate]]:
    """The windows of the history and the last ones, and all forecasts of both, of the whole panel."""
    season, ends = panel.season_length, panel.offsets[1:] - horizon
    windows = history_windows(panel, ends, horizon), rolling(panel, panel.offsets[1:], horizon, 1, horizon)
    rows, whole = int(np.median(panel.lengths - horizon)), max(1, 36 // season) * season
    change = [np.abs(values[season:] - values[:-season]) for values in np.split(panel.target, panel.offsets[1:-1])]
    scale = np.array([np.nanmean(one[:-horizon]) if len(one) > horizon else np.nan for one in change])
    history, last = (EvaluationSet(panel, some, scale, False, Needs(1, horizon, ())) for some in windows)
    lengths = {EXPONENTIAL_SMOOTHING: smoothing_length(season, rows), NAIVE: whole, DRIFT: min(whole, rows)}
    lengths |= {THETA: max(theta_lengths(season, rows), default=0), SEASONAL_NAIVE: whole if season > 1 else 0}
    made = {}
    for method, length in lengths.items():
        if length:
            simple = Smoothing(season, length, horizon, bool(np.nanmin(panel.target) >= 0.0), 1.0, method)
            made[method] = Candidate(*(smoothed(panel, some, simple) for some in windows))
    plan = draft_plan(panel, TrainSettings(horizon=horizon)).plan
    if base := pretrained_settings(plan, rows):
        needs, network = replace(plan.needs, horizon=horizon), [new_network(base, 0)]
        reaching = (replace(one, needs=needs).reaching(base.rows) for one in (history, last))
        made[PRETRAINED] = Candidate(*(one.forecast(network) for one in reaching))
    return history, last, made


def of_series(i: int, history: EvaluationSet, last: EvaluationSet) -> tuple[tuple[EvaluationSet, IntArray], ...]:
    """The windows of one series, and their places."""
    places = (np.flatnonzero(one.windows.series == i) for one in (history, last))
    return tuple(
        (replace(one, windows=one.windows.take(mine)), mine) for one, mine in zip((history, last), places, strict=True)
    )


def blends(made: dict[str, Candidate], before: EvaluationSet) -> dict[str, Candidate]:
    """The pretrained network with a statistical method, by each rule for the shares."""
    network, theta, smoothing = (made[one] for one in (PRETRAINED, THETA, EXPONENTIAL_SMOOTHING))
    lower = before.error(smoothing.before) < (1.0 - SMOOTHING_GAIN) * before.error(theta.before)
    clearly = lower and is_clearly_better(smoothing.before, theta.before, before)
    tempered = before.stretches / (before.stretches + USUAL_STRETCHES)
    found, method = {}, Smoothing(1, 1, 1, False, 1.0)  # a key for the statistical method, whichever it is
    rules = {
        "history": (lower, 1.0),
        "clearly": (clearly, 1.0),
        "half": (clearly, 0.5),
        "usual": (clearly, 0.0),
        "kept": (clearly, tempered),
    }
    for rule, (smooth, learnt) in rules.items():
        other = smoothing if smooth else theta
        parts: dict[Component, FloatArray] = {UNTOUCHED: network.before, method: other.before}
        kept = {UNTOUCHED: network.before, **near_best(parts, before.error)}
        share = ensemble_shares(kept, before.error, list(kept)).get(method, 0.0)
        usual = THETA_SHARE if method in kept else 0.0
        found[rule] = network.mixed(other, learnt * share + (1.0 - learnt) * usual)
    return found


def choices(made: dict[str, Candidate], blend: Candidate, before: EvaluationSet) -> dict[str, Candidate]:
    """A simple method or `blend`, by each rule for the choice."""
    errors = {method: before.error(one.before) for method, one in made.items() if method != PRETRAINED}
    rank = {one: error / (1.0 if "naive" in one else 1.0 - ESTIMATION_GAIN) for one, error in errors.items()}
    rivals = [one for one in errors if one != DRIFT or errors[one] <= MAX_DRIFT * errors[NAIVE]]
    best = min(rivals, key=rank.__getitem__)
    simple, other = made[best], before.error(blend.before)
    lower = rank[best] <= other / (1.0 - ESTIMATION_GAIN)
    clearly = lower and before.clearly_lower(simple.before, blend.before)
    far = lower and errors[best] < FAR_LOWER * other
    shares = {"lower": 1.0 * lower, "half": 0.5 * lower, "never": 0.0, "clearly": 1.0 * (clearly or far)}
    found = {rule: blend.mixed(simple, share) for rule, share in shares.items()}
    half = lower and best == NAIVE and not clearly and not far
    return {**found, "kept": made[PRETRAINED].mixed(simple, LAST_VALUE_SHARE) if half else found["clearly"]}


def errors_of(panel: Panel, horizon: int) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Of each series MASE by each rule: for the shares, and for the choice."""
    history, last, made = forecasts(panel, horizon)
    by_shares, by_choice = [], []
    for i in range(len(panel.series) if PRETRAINED in made and EXPONENTIAL_SMOOTHING in made else 0):
        (before, mine), (after, end) = of_series(i, history, last)
        own = {method: Candidate(one.before[mine], one.after[end]) for method, one in made.items()}
        if not len(mine) or not len(end) or not all(np.isfinite(before.error(one.before)) for one in own.values()):
            continue
        shared = blends(own, before)
        chosen = {"before": choices(own, shared["history"], before)["lower"], **choices(own, shared["kept"], before)}
        by_shares.append({rule: after.error(one.after) for rule, one in shared.items()})
        by_choice.append({rule: after.error(one.after) for rule, one in chosen.items()})
        by_choice[-1]["count"] = float(np.any(chosen["lower"].after != chosen["never"].after))
    return by_shares, by_choice


def row(name: str, found: Sequence[dict[str, float]], rules: Sequence[str], *more: str) -> list[str]:
    """One row of a table: MASE of the first rule, and of the others over that."""
    mean = {rule: float(np.nanmean([one[rule] for one in found])) for rule in rules}
    return [name, *more, f"{mean[rules[0]]:.4f}", *(f"{mean[rule] / mean[rules[0]]:.3f}" for rule in rules[1:])]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows as Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    every = [one for one in (*SETS, *KINDS) if one not in ("us_births", "saugeen", "intermittent")]
    parser.add_argument("--sets", nargs="+", default=every)
    parser.add_argument("--series", type=int, default=300)
    arguments = parser.parse_args()
    shares, choice = (
        ["history", "clearly", "half", "usual", "kept"],
        ["before", "lower", "half", "never", "clearly", "kept"],
    )
    first, second = [], []
    for name in arguments.sets:
        frame, horizon = rows_of(name, arguments.root, arguments.series)
        with tempfile.TemporaryDirectory() as work:
            frame.to_csv(path := Path(work) / "data.csv", index=False)
            by_shares, by_choice = errors_of(read_panel(path), horizon)
        if not by_shares:
            print(name, "has no pretrained network in a training", flush=True)
            continue
        first.append(row(name, by_shares, shares, str(len(by_shares))))
        second.append(row(name, by_choice, choice, f"{np.mean([one['count'] for one in by_choice]):.0%}"))
        print(*first[-1], "|", *second[-1], flush=True)
    if arguments.sets == every:
        tables = table(["set", "series", *shares], first), table(["set", "share", *choice], second)
        write_section("single series", f"{TEXT}{tables[0]}{CHOICE}{tables[1]}", ABLATIONS)


if __name__ == "__main__":
    main()
