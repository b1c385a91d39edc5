"""What is served, in words: the members with their number and share, and the share of a simple method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forecaster.models.shares import combination_weights

if TYPE_CHECKING:
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.settings import NetworkSettings

MIN_SHARE = 0.005  # of what is named


def member_kind(member: NetworkSettings) -> str:
    """The kind of one member: its cell or the function that builds it, and whether it starts from a pretrained network."""
    if member.pretrained:
        return f"{'fine-tuned' if member.tuned else 'pretrained'} {member.label}"
    return member.label


def served_method(members: Sequence[NetworkSettings], smoothing: Smoothing | None) -> str:
    """For example "gru ×3, lstm", "40 % gru ×4; 60 % exponential smoothing" or "naive".

    Members with a share of their own are named with it: "50 % gru, lstm; 50 % pretrained gru". What rounds to 0 % is left out.
    """
    if smoothing and smoothing.weight == 1.0:
        return smoothing.method
    parts = _parts(members)
    if smoothing and smoothing.weight:
        parts = {name: weight * (1.0 - smoothing.weight) for name, weight in parts.items()}
        parts[smoothing.method] = smoothing.weight
    parts = {name: weight for name, weight in parts.items() if weight >= MIN_SHARE} or parts
    if len(parts) == 1:
        return next(iter(parts))
    return "; ".join(f"{100 * weight:.3g} % {name}" for name, weight in parts.items())


def _parts(members: Sequence[NetworkSettings]) -> dict[str, float]:
    """The networks without a share of their own, in words, then each kind of those with one; and the weights of these parts."""
    rest, shares = combination_weights(members)
    kinds = [member_kind(member) for member, share in zip(members, shares, strict=True) if not share]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    parts = (
        {", ".join(f"{kind} ×{count}" if count > 1 else kind for kind, count in counts.items()): rest} if kinds else {}
    )
    for member, share in zip(members, shares, strict=True):
        if share:
            kind = member_kind(member)
            parts[kind] = parts.get(kind, 0.0) + share
    return parts
