"""Decides what a training starts from: nothing, another model's weights (--from), or an interrupted training (--resume)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.manifest import Manifest, read_manifest
from forecaster.training.checkpoints import STATE, UNFINISHED, Checkpoints
from forecaster.training.plan import Draft, OpenQuestions, Plan

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.serving.store import Store
    from forecaster.typing import Watch


def find_checkpoints(store: Store, name: str, settings: TrainSettings, watch: Watch) -> Checkpoints:
    """Where fitting stores its states, and where it starts from. Removes those of an earlier training that is not resumed.

    ArtifactError where `resume` or `start_from` names a model that is missing.
    """
    unfinished = store.root / name / UNFINISHED
    if settings.start_from:
        return Checkpoints(unfinished, store.resolve(settings.start_from) / STATE, weights_only=True)
    if not settings.resume:
        fresh = Checkpoints(unfinished, None, weights_only=False)
        fresh.clear()
        return fresh
    if unfinished.is_dir():
        watch.note("continuing the unfinished training")
        return Checkpoints(unfinished, unfinished, weights_only=False)
    if not store.has(name):
        raise ArtifactError(
            f"--resume: no model '{name}' is stored, and no fit of it is unfinished (selection before the fits starts anew).",
            "Leave --resume out, or give the --name of a stored model.",
        )
    return Checkpoints(unfinished, store.resolve(name) / STATE, weights_only=False)


def continue_stored(draft: Draft, checkpoints: Checkpoints, panel: Panel, settings: TrainSettings) -> Draft:
    """A plan that continues the networks of the stored version that `checkpoints` start from, without open questions.

    The draft itself where they start from an unfinished training. UsageError where an option or a column asks for another
    network; ArtifactError for a damaged manifest.
    """
    if checkpoints.source is None or checkpoints.continues_unfinished:
        return draft
    if settings.preset:
        raise UsageError(
            f"--preset {settings.preset} has no effect: --resume continues a stored version's own networks.",
            "Leave it out.",
        )
    plan, manifest = draft.plan, read_manifest(checkpoints.source.parent)
    first = manifest.members[0]
    _refuse_other_columns(plan, manifest, panel)
    for field in fields(first):
        if field.name in ("known", "pretrained"):  # a count there, columns here; a season there, a switch here
            continue
        given, stored = getattr(settings, field.name, None), getattr(first, field.name)
        stored = stored or "none" if field.name == "distribution" else stored
        if given is not None and given != stored and (field.name, given) != ("transform", "auto"):
            flag = field.name.replace("_", "-")
            raise UsageError(f"--{flag} {given}: --resume continues a network that has {stored}.", "Leave one out.")
    fit = replace(
        manifest.fit,
        epochs=settings.epochs or manifest.fit.epochs,
        learning_rate=settings.learning_rate or manifest.fit.learning_rate,
        patience=manifest.fit.patience if settings.patience is None else settings.patience,
        precision=settings.precision,  # weights are stored in float32, however they were fitted
    )
    # Python may have given the function of a network, of which a manifest has the name alone.
    members = tuple(
        replace(one, network=settings.network or one.network, tuned=bool(one.pretrained)) for one in manifest.members
    )
    plan = replace(
        plan,
        horizon=manifest.horizon,
        members=members,
        fit=fit,
        calendar=manifest.calendar,
        takes_days_out=any(member.special_days for member in members),
        error_scales=manifest.error_scales,
        smoothing=manifest.smoothing,
    )
    return Draft(plan, OpenQuestions.decided(first, fit))


def _refuse_other_columns(plan: Plan, manifest: Manifest, panel: Panel) -> None:
    """UsageError where the stored networks lack a column of the plan, or the data lacks one of theirs."""
    planned, stored, given = (
        {(one.name, one.role) for one in some}
        for some in (plan.needs.covariates, manifest.covariates, panel.covariates)
    )
    if not planned <= stored <= given:
        reads = ", ".join(f"{one.role} {one.name}" for one in manifest.covariates) or "no covariates"
        raise UsageError(
            f"--resume continues a network that reads {reads}.", "Give the same columns, or leave out --resume."
        )
