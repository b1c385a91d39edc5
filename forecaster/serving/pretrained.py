"""The pretrained networks that come with the program: which there are, and how one is loaded.

Each is a folder of `ROOT`: `card.json` (what it is, and the hashes of its files), `model.onnx` and `saved_model/`. They were
trained on made series only. Their graphs read a raw context and answer in the caller's units, as those of stored models do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.config import StoreOptions
from forecaster.data.extra_inputs import Needs
from forecaster.errors import ArtifactError, UsageError
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.seasonal_profile import LONGER, SHORTER, Profile
from forecaster.models.served_method import served_method
from forecaster.models.settings import NetworkSettings
from forecaster.serving.manifest import network_settings
from forecaster.serving.runtime import RUNTIMES, Runtime
from forecaster.serving.store import Store
from forecaster.storage.files import reason

if TYPE_CHECKING:
    from forecaster.config.shared import ServeOptions
    from forecaster.typing import Data, Watch

PRETRAINED = "pretrained"  # in place of a stored model's name
ROOT = Path(__file__).parents[1] / "pretrained"
CARD = "card.json"
NO_SEASON = 1
LONG_SEASON, FOR_LONG_SEASONS = 24, 7  # from so many steps on, the network for this season reads what is left
MIN_ROWS = 6  # observed values that a network needs; with a season, two more than its season have
REINSTALL = "Install forecaster again."


@dataclass(frozen=True)
class Card:
    """What is known about a pretrained network."""

    folder: Path
    season_length: int  # steps; NO_SEASON = none
    serves: tuple[int, ...]  # season lengths that it forecasts
    network: NetworkSettings
    parameters: int
    files: Mapping[str, str]  # path in the folder -> sha256
    smoothing: Smoothing | None = None  # the simple method in its graph

    @property
    def method(self) -> str:
        """What forecasts say that they are made by."""
        return served_method([replace(self.network, pretrained=self.season_length)], self.smoothing)

    @property
    def needs(self) -> Needs:
        """The inputs of the graph."""
        return Needs(self.network.context_length, self.network.horizon, ())

    @property
    def min_rows(self) -> int:
        """Observed values of a context that the network was trained on, at least."""
        return MIN_ROWS if self.season_length == NO_SEASON else self.season_length + 2


def means_pretrained(data: Data | None, settings: ServeOptions, models: str, watch: Watch) -> bool:
    """Whether the pretrained networks are to answer: they are asked for, or there is data and nothing was ever trained.

    A stored model of that name, from a release that allowed it, comes first. A folder of models that is named must have
    one: without one its name may be misspelt.
    """
    store = Store(Path(models))
    if settings.model is not None:
        return settings.model == PRETRAINED and PRETRAINED not in store.names()
    if data is None or models != StoreOptions.models or store.names() or not pretrained_cards():
        return False
    watch.note(
        f"no model is stored in '{models}': a pretrained network answers. `forecaster train` fits one to the data"
    )
    return True


def pretrained_cards() -> tuple[Card, ...]:
    """The cards of all pretrained networks, by season length. ArtifactError where one is damaged."""
    try:
        folders = [path for path in ROOT.iterdir() if (path / CARD).is_file()]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ArtifactError(f"'{ROOT}': cannot be read: {reason(error)}.", REINSTALL) from error
    return tuple(sorted(map(read_card, folders), key=lambda card: card.season_length))


def pretrained_method(season_length: int) -> str:
    """What pretrained forecasts of data with this season say that they are made by; empty where there is no network."""
    card = find_network(season_length)[0] or find_card(NO_SEASON)
    return card.method if card else ""


def find_network(season_length: int) -> tuple[Card | None, Profile | None]:
    """The network for series with this season, and the seasonal profile that is taken out of what it reads, if any.

    Where no network knows the season or the one below it, a long season is left to the network with the best forecasts of such
    remainders (benchmarks/ABLATIONS.md, The longer season in a training). No network where the one without a season must do.
    """
    card = find_card(season_length)
    if card:
        return card, LONGER.get(season_length)
    short = SHORTER.get(season_length)
    if short and (card := find_card(short)):
        return card, replace(LONGER[short], season_length=season_length)
    if season_length >= LONG_SEASON and (card := find_card(FOR_LONG_SEASONS)):
        return card, Profile(season_length)
    return None, None


def find_card(season_length: int) -> Card | None:
    """The card of the network for this season length; None where no network knows it."""
    return next((card for card in pretrained_cards() if season_length in card.serves), None)


def read_card(folder: Path) -> Card:
    """The card in `folder`. ArtifactError where it is missing or damaged."""
    path = folder / CARD
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Card(
            folder=folder,
            season_length=int(raw["season_length"]),
            serves=tuple(map(int, raw["serves"])),
            network=network_settings(raw["network"]),
            parameters=int(raw["parameters"]),
            files=dict(raw["files"]),
            smoothing=Smoothing(**raw["floor"]) if raw.get("floor") else None,
        )
    except OSError as error:
        raise ArtifactError(f"'{path}': cannot be read: {reason(error)}.", REINSTALL) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"'{path}': damaged.", REINSTALL) from error


@lru_cache(maxsize=8)
def load_pretrained(folder: Path, runtime: str, threads: int = 0, device: str = "cpu") -> Runtime:
    """The graph in `folder`, loaded once in a process. ArtifactError where a file is missing or damaged."""
    part, make = RUNTIMES[runtime]
    files = {name: known for name, known in read_card(folder).files.items() if name.split("/")[0] == part}
    if not files:
        raise UsageError(f"--runtime {runtime} has no effect on this pretrained network.", "Leave it out.")
    for name, known in files.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise ArtifactError(f"'{folder / name}': cannot be read: {reason(error)}.", REINSTALL) from error
        if found != known:
            raise ArtifactError(f"'{folder / name}' is damaged: its SHA-256 is not the card's.", REINSTALL)
    return make(folder / part, threads, device)
