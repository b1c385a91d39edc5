"""A pretrained network that can be a member, known by its card alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecaster.serving.pretrained import Card
from tests.support.pretrained import WHOLE


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Card:
    """A card of a network for a season of 4, which is made when it is asked for."""
    card = Card(Path("nowhere"), 4, (4,), WHOLE, 7, {})
    for module in ("member_networks", "selection_plan"):
        found = f"forecaster.training.{module}.find_network"
        monkeypatch.setattr(found, lambda season: (card if season == 4 else None, None))
    return card
