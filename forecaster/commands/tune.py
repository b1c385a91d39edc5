"""The command `tune`: a search over the plan's settings on validation windows. The test windows are never seen.

Source of the search: Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) with median pruning.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from forecaster.commands.open_engine import open_engine
from forecaster.commands.train import read
from forecaster.commands.tune_confirmation import Confirmation, confirm
from forecaster.config import TrainSettings, one_network
from forecaster.data.panel import fingerprint
from forecaster.engines.local import LocalEngine
from forecaster.errors import DataError, UsageError, install_hint
from forecaster.models.cells import CELLS
from forecaster.models.device import require_tensorflow
from forecaster.models.scaling import CENTERS
from forecaster.serving.overwriting import refuse_overwriting
from forecaster.storage.files import replace_output
from forecaster.training.auto_plan import draft_plan
from forecaster.training.checkpoints import NoCheckpoints
from forecaster.training.fit_members import EnsembleFitter
from forecaster.training.plan import EPOCH_STEPS
from forecaster.training.selection import choose_components, evaluation_set, select_settings
from forecaster.training.split import split
from forecaster.typing import Progress, Silent

if TYPE_CHECKING:
    from forecaster.config import TuneSettings
    from forecaster.data.panel import Panel
    from forecaster.engines.work import Engine
    from forecaster.training.fit_types import MemberFit, Stage, State, Task
    from forecaster.training.plan import Draft
    from forecaster.typing import Data, Json, Watch

Setting: TypeAlias = "str | int | float | bool"

TENTHS = 10  # of its schedule, after each of which a trial is compared with the others
STARTUP = 4  # trials before any is pruned
RATES = (3e-4, 3e-2)


@dataclass(frozen=True)
class Tuned:
    """The result of the search."""

    automatic: Mapping[str, Setting]  # the automatic plan's values of the searched settings
    best: Mapping[str, Setting]
    automatic_error: float  # on the validation windows, of one network with the components that are served beside it
    error: float
    trials: int  # fitted to the end, earlier runs included
    pruned: int
    toml: str  # a file for `train --config`; "" where no gain was confirmed
    confirmation: Confirmation  # of the best plan, as it would be served
    seconds: float

    def __repr__(self) -> str:
        return f"<Tuned: {self.sentence}>"

    @property
    def sentence(self) -> str:
        """How far the error fell, for people."""
        runs = f"{self.trials} plans tried, {self.pruned} of them pruned"
        if self.error >= self.automatic_error:
            return f"{runs}: none has a lower error than the automatic plan ({self.automatic_error:.4g})."
        gain = 1.0 - self.error / self.automatic_error
        search = f"{runs}: validation error {self.error:.4g}, {gain:.1%} below the automatic plan's {self.automatic_error:.4g}."
        return f"{search} {self.confirmation.sentence}"

    def to_json(self) -> dict[str, Json]:
        """Everything but the TOML, by name."""
        return {
            "trials": self.trials,
            "pruned": self.pruned,
            "automatic": {"error": self.automatic_error, "settings": dict(self.automatic)},
            "best": {"error": self.error, "settings": dict(self.best)},
            "confirmed": self.confirmation.confirmed,
            "repeats": {"automatic": list(self.confirmation.automatic), "best": list(self.confirmation.found)},
            "seconds": self.seconds,
        }


def tune(data: Data, settings: TuneSettings, watch: Watch) -> Tuned:
    """Search, and write the best plan to `settings.output` (unless that is "-") if other seeds confirm its gain.

    The automatic plan is the first trial, so the best is never worse on these windows. Ctrl-C and the time budget end the
    search and keep the best so far. UsageError without optuna, DataError where there are too few rows for validation windows.
    """
    data = settings.source(data)
    refuse_overwriting({"--output": settings.output, "--study": settings.study}, {"the data": data})
    optuna = _optuna()
    require_tensorflow()
    began = time.monotonic()
    panel = read(data, settings, watch)
    with open_engine(settings) as engine:
        return _searched(optuna, _Search(panel, settings, watch, began, engine), began)


def _searched(optuna: Any, search: _Search, began: float) -> Tuned:
    """Search, confirm and write."""
    panel, settings, watch = search.panel, search.settings, search.watch
    study = _study(optuna, settings, search.name)
    automatic = search.automatic(study)
    try:
        _run(optuna, study, search, automatic)
    except KeyboardInterrupt:
        watch.warn("interrupted: the best plan so far is kept")
    done = [one for one in study.trials if one.state.name == "COMPLETE" and math.isfinite(one.value)]
    first = next((one for one in done if one.params == automatic), None)
    if first is None:
        raise KeyboardInterrupt  # not even the automatic plan was fitted
    best = min(done, key=lambda one: one.value)
    pruned = sum(one.state.name == "PRUNED" for one in study.trials)
    changed = {name: value for name, value in best.params.items() if value != automatic[name]}
    sure = Confirmation((), ())
    if changed:
        watch.note("confirming the best plan: both plans as they would be served, with other seeds")
        sure = confirm(panel, search.served({}), search.served(changed), search.fitting)
    toml = _toml(settings, search.plan.horizon, automatic, best.params) if sure.confirmed else ""
    if settings.output != "-" and toml:
        replace_output(settings.output, toml, watch.warn)
    return Tuned(
        automatic=automatic,
        best=best.params,
        automatic_error=first.value,
        error=best.value,
        trials=len(done) + pruned,
        pruned=pruned,
        toml=toml,
        confirmation=sure,
        seconds=round(time.monotonic() - began, 2),
    )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UsageError("tune needs optuna.", install_hint("tune")) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _study(optuna: Any, settings: TuneSettings, name: str) -> Any:
    """The study of this data and these settings; a file may contain several."""
    storage = f"sqlite:///{Path(settings.study).absolute()}" if settings.study else None
    try:
        return optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=8),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=2),
        )
    except Exception as fault:  # sqlalchemy's errors have no common public home with sqlite's
        raise UsageError(
            f"--study {settings.study}: cannot be used ({type(fault).__name__}).",
            "Name a file that tune wrote, or a new one.",
        ) from None


class _Search:
    """The search space, and one trial."""

    def __init__(
        self,
        panel: Panel,
        settings: TuneSettings,
        watch: Watch,
        began: float,
        engine: Engine = LocalEngine(),  # noqa: B008
    ) -> None:
        self.panel, self.settings, self.watch, self.began = panel, settings, watch, began
        self.draft = draft_plan(panel, self._train({}))
        self.plan = self.draft.plan
        self.fitting = EnsembleFitter(self._train({}), NoCheckpoints(), watch, began, engine)
        self.fitted: dict[tuple[MemberFit, ...], Stage] = {}
        self.space = _space(self.draft, settings)
        given = {name: value for name, value in vars(settings).items() if name not in RUN}
        facts = json.dumps([fingerprint(panel), given, self.space], default=str, sort_keys=True)
        self.name = f"forecaster-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"

    def automatic(self, study: Any) -> dict[str, Setting]:
        """The automatic plan's values of the searched settings, after model selection; stored in the study."""
        if "automatic" not in study.user_attrs:
            task = split(self.panel, self.plan.needs, self.plan.windows).selection
            if task is None:
                raise DataError(
                    f"{self.panel.source}: too few rows for validation windows: nothing to tune on.",
                    "Give more history.",
                )
            plan = select_settings(self.draft, self.panel, task, self.fitting.fit_all, self.watch)
            made = {**vars(plan.members[0]), **vars(plan.fit)}
            first = {name: made[name] for name in self.space}
            study.set_user_attr("automatic", first)
        automatic: dict[str, Setting] = dict(study.user_attrs["automatic"])
        if not any(one.state.is_finished() and one.params == automatic for one in study.trials):
            study.enqueue_trial(automatic)  # also where an earlier run was killed in it
        return automatic

    def error(self, optuna: Any, trial: Any, automatic: Mapping[str, Setting]) -> float:
        """Validation error of what would be served with the settings that `trial` suggests, one network in the members' place.

        The network is combined with the pretrained network and a simple method, with shares that suit it. So a setting that
        makes up for what these have already is worth no more than in use.
        """
        from forecaster.models.network import Network
        from forecaster.training.fit import FitControl, fit

        draft = draft_plan(self.panel, self.served(self._suggest(trial)))
        plan = draft.plan
        task = split(self.panel, plan.needs, plan.windows).selection
        if task is None:
            raise optuna.TrialPruned

        def compare_with_others(state: State) -> None:
            tenth, before = (TENTHS * epoch // plan.fit.epochs for epoch in (state.epoch, state.epoch - 1))
            if tenth > before:
                trial.report(state.last_error, tenth)
            # The automatic plan is always fitted to its end, so that the best plan is never worse.
            if trial.params != automatic and (self.time_is_up() or trial.should_prune()):
                raise optuna.TrialPruned

        network = Network(plan.members[0], plan.fit.seed * 1000)
        how = replace(plan.fit, seed=plan.fit.seed * 1000)
        control = FitControl(Silent(), "tune", checkpoint=compare_with_others)
        done = fit(network, task, how, control, parts=self.fitting.threads)
        if done.stopped == "interrupted":
            raise KeyboardInterrupt
        if done.stopped == "diverged" or not math.isfinite(done.state.last_error):
            raise optuna.TrialPruned
        evaluation = evaluation_set(self.panel, task, plan)
        made = choose_components(plan, [network], draft.questions, evaluation, task, self._fit_once, Silent())
        return evaluation.error(made.forecast)

    def _fit_once(self, stage: str, task: Task, members: Sequence[MemberFit]) -> Stage:
        """The fits of pretrained members, which are the same in every trial."""
        key = tuple(members)
        if key not in self.fitted:
            self.fitted[key] = self.fitting.fit_all(stage, task, members)
        return self.fitted[key]

    def _suggest(self, trial: Any) -> dict[str, Setting]:
        return {
            name: trial.suggest_float(name, *RATES, log=True)
            if name == "learning_rate"
            else trial.suggest_categorical(name, choices)
            for name, choices in self.space.items()
        }

    def _train(self, tried: Mapping[str, Setting | None]) -> TrainSettings:
        """The settings of `train` that `_toml` would write."""
        return one_network(self.settings, **{"cell": self.settings.cell, **tried, **_steps(self.settings, tried)})

    def served(self, changed: Mapping[str, Setting]) -> TrainSettings:
        """The settings of `train` with these values: all members, and a simple method where one suits."""
        return replace(self._train(changed), members=None, floor=None)

    def time_is_up(self) -> bool:
        """Whether the time budget is spent."""
        budget = self.settings.time_budget
        return budget is not None and time.monotonic() - self.began > budget


def _steps(settings: TuneSettings, found: Mapping[str, Setting | None]) -> dict[str, Setting]:
    """The number of steps in a searched epoch; without it an epoch would be one pass over the data."""
    return {"steps_per_epoch": settings.steps_per_epoch or EPOCH_STEPS} if "epochs" in found else {}


# These do not change what a trial finds.
RUN = ("trials", "time_budget", "study", "output", "threads", "device", "engine", "ray_address", "workers")


def _space(draft: Draft, settings: TuneSettings) -> dict[str, list[Setting]]:
    """The values of each searched setting, the automatic one among them. An option that is given is not searched."""
    member, questions = draft.plan.members[0], draft.questions
    segments = [d for d in range(member.segment, 0, -1) if member.segment % d == 0]
    lengths = {member.segment * max(1, round(member.context_length * share / member.segment)) for share in (0.5, 1, 2)}
    every: dict[str, list[Setting]] = {
        "cell": list(CELLS),
        "units": sorted({32, 64, 128, member.units}),
        "layers": [1, 2],
        "context_length": sorted(lengths | {member.context_length}),
        # Only the largest three: many recurrent steps are slow and forget the early ones.
        "segment": [*segments[:3]],
        "center": list(CENTERS),
        "dropout": sorted({0.0, 0.1, 0.2, 0.3, member.dropout}),
        "learning_rate": [],
        "epochs": sorted({12, 40, *(one.epochs for one in questions.schedules)}),
        "transform": [one.transform for one in questions.scalings],
    }
    free = {name: choices for name, choices in every.items() if getattr(settings, name) is None}
    return {name: choices for name, choices in free.items() if len(choices) != 1}


def _run(optuna: Any, study: Any, search: _Search, automatic: Mapping[str, Setting]) -> None:
    """Run trials until there are enough or the time budget is spent. Report progress after each."""
    began, before, wanted = time.monotonic(), len(study.trials), search.settings.trials

    def report(study: Any, trial: Any) -> None:
        done = trial.number + 1
        best = min(
            (one.value for one in study.trials if one.value is not None and one.state.name == "COMPLETE"),
            default=math.nan,
        )
        state = f"validation error {trial.value:.4g}" if trial.state.name == "COMPLETE" else "pruned"
        values = ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
        search.watch.note(f"plan {done}: {state}, best {best:.4g}: {values}")
        left = (time.monotonic() - began) / max(done - before, 1) * max(wanted - done, 0)
        search.watch.progress(Progress("tune", done, wanted, trial.value or best, best, left))
        if search.time_is_up():
            study.stop()

    finished = sum(one.state.is_finished() for one in study.trials)
    if finished < wanted and not (finished and search.time_is_up()):
        study.optimize(
            lambda trial: search.error(optuna, trial, automatic), n_trials=wanted - finished, callbacks=[report]
        )


def _short(value: Setting) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _toml(settings: TuneSettings, horizon: int, automatic: Mapping[str, Setting], best: Mapping[str, Setting]) -> str:
    """A file for `train --config`: the options that were given and the values that were found.

    Values that equal the automatic ones are commented out, so that members may still differ in them.
    """
    given = {
        item.name: value
        for item in fields(settings)
        if item.name not in (*RUN, "baselines") and (value := getattr(settings, item.name)) not in (None, item.default)
    }
    lines = ["# Found by `forecaster tune` on validation windows; use it with `forecaster train --config`.", "[train]"]
    changed = {name: value for name, value in best.items() if value != automatic[name]}
    given |= {"horizon": horizon, **_steps(settings, changed)}
    lines += [f"{name} = {_value(value)}" for name, value in given.items()]
    for name, value in best.items():
        mark, why = ("", "") if name in changed else ("# ", "  # as in the automatic plan")
        lines.append(f"{mark}{name} = {_value(value)}{why}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    if value == -math.inf:
        return '"none"'
    return json.dumps(value, ensure_ascii=False)  # TOML writes numbers, booleans and plain strings as JSON does
