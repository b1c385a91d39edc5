"""The verdict of a test in a sentence: better than naive or not, coverage near the nominal one or not, enough windows or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecaster.models.baselines import NAIVE_BASELINES

if TYPE_CHECKING:
    from forecaster.evaluation.quantile_metrics import QuantileScores
    from forecaster.evaluation.report import Report

MIN_WINDOWS = 5  # fewer say little about an error, and less about coverage
MAX_COVERAGE_GAP = 0.1  # between the nominal coverage and the empirical one
SAME = 0.005  # relative difference of errors that are called equal
CLEARLY = 0.05  # a relative difference that is worth a warning where something other than naive is better


@dataclass(frozen=True)
class TestVerdict:
    """What a test says, for people."""

    sentence: str
    warning: str = ""  # "" = none

    __test__ = False  # for pytest


def verdict_of(report: Report | None) -> TestVerdict:
    """The verdict of a report; of no report that there was no test."""
    if report is None:
        return TestVerdict("Not tested.", "there were no test windows: nothing is known about the error of this model")
    metric = next((one for one in report.measures if math.isfinite(getattr(report.metrics, one))), report.measures[1])
    own = getattr(report.metrics, metric)
    errors = {who: getattr(scores, metric) for who, scores in report.baselines.items()}
    errors = {who: error for who, error in errors.items() if math.isfinite(error)}
    known = {who: error for who, error in errors.items() if who in NAIVE_BASELINES}
    count = f"{report.windows} window{'s' * (report.windows != 1)}"
    if not known or not math.isfinite(own):
        return TestVerdict(f"No error is defined over {count}.", "no error is defined on the test windows")
    best = min(known, key=known.__getitem__)
    sentence, warning = _compared(own, known[best], best.replace("-", " "), count, report)
    ahead = min(errors, key=errors.__getitem__)
    if ahead not in NAIVE_BASELINES and errors[ahead] < (1.0 - CLEARLY) * own:
        lower = f"{ahead} has {share_in_words(1.0 - errors[ahead] / own)} lower error"
        warning = "; ".join(filter(None, (warning, f"on the test windows {lower}")))
    if report.windows < MIN_WINDOWS:
        warning = "; ".join(
            filter(None, (warning, f"{count} {'is' if report.windows == 1 else 'are'} too few to say much"))
        )
    covered, off = _covered(report.intervals)
    if off and report.windows >= MIN_WINDOWS:
        warning = "; ".join(filter(None, (warning, off)))
    return TestVerdict(f"{sentence}{covered}.", warning)


def share_in_words(share: float) -> str:
    """`a 5%`, `an 8%`."""
    text = f"{share:.0%}"
    return f"{'an' if text[0] == '8' or text in ('11%', '18%') else 'a'} {text}"


def _compared(own: float, naive: float, name: str, count: str, report: Report) -> tuple[str, str]:
    """The comparison of an error with that of naive, and a warning where it is not lower."""
    error = "root mean square error" if report.forecasts_mean else "error"
    if abs(own - naive) <= SAME * naive:
        same = f"The {error} is that of {name} over {count}"
        return same, "" if report.method == name else f"on the test windows it does not beat {name}"
    if own < naive:
        return f"{1.0 - own / naive:.0%} lower {error} than {name} over {count}", ""
    higher = f"{own / naive - 1.0:.0%} higher" if naive > 0.0 else "A higher"
    worse = f"{higher} {error} than {name} over {count}"
    unseen = ", which selection did not see," if report.version else ""  # for a pretrained network nothing is selected
    return worse, f"on the test windows{unseen} it does not beat {name}"


def _covered(intervals: QuantileScores | None) -> tuple[str, str]:
    """How much the outermost interval covered, and a warning where that is far from its promise."""
    if intervals is None or not math.isfinite(intervals.empirical_coverage):
        return "", ""
    nominal, found = intervals.nominal_coverage, intervals.empirical_coverage
    text = f"; {nominal:.0%} intervals covered {found:.0%}"
    return text, f"{nominal:.0%} intervals covered {found:.0%}" if abs(found - nominal) > MAX_COVERAGE_GAP else ""
