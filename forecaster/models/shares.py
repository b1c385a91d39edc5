"""How members are combined: those with a share are averaged by it with the median or mean of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.models.settings import NetworkSettings


def combination_weights(members: Sequence[NetworkSettings]) -> tuple[float, list[float]]:
    """The weight of the median or mean of the members without a share, and the weight of each member with one (else 0).

    They add up to 1, also where a network was lost.
    """
    shares = [member.share for member in members]
    total = sum(shares)
    return (0.0, [share / total for share in shares]) if all(shares) else (1.0 - total, shares)


def combine(forecasts: Sequence[Any], members: Sequence[NetworkSettings], join: Callable[[Sequence[Any]], Any]) -> Any:
    """Forecasts of members with these settings, arrays or tensors of one shape -> their combination of that shape.

    `join` is the median or mean of those without a share.
    """
    rest, shares = combination_weights(members)
    others = [one for one, share in zip(forecasts, shares, strict=True) if not share]
    parts = [one * share for one, share in zip(forecasts, shares, strict=True) if share]
    if others:
        joined = join(others) if len(others) > 1 else others[0]
        parts = [joined * rest if parts else joined, *parts]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
