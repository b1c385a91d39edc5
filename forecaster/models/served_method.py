"""What is served, in words: the members with their number, and the share of a simple method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.settings import NetworkSettings


def member_kind(member: NetworkSettings) -> str:
    """The kind of one member: its cell or the function that builds it, and whether it starts from a pretrained network."""
    if member.pretrained:
        return f"{'fine-tuned' if member.tuned else 'pretrained'} {member.label}"
    return member.label


def served_method(members: Sequence[NetworkSettings], smoothing: Smoothing | None) -> str:
    """For example "gru ×3, lstm", "40 % gru ×4; 60 % exponential smoothing" or "naive"."""
    kinds = [member_kind(member) for member in members]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    networks = ", ".join(f"{kind} ×{count}" if count > 1 else kind for kind, count in counts.items())
    if not smoothing or not smoothing.weight:
        return networks
    if smoothing.weight == 1.0:
        return smoothing.method
    share = f"{100 * smoothing.weight:.3g}"
    return f"{100 - float(share):.3g} % {networks}; {share} % {smoothing.method}"
