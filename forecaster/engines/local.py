"""Work on groups in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from forecaster.engines.work import Work
from forecaster.serving.answer import ServedModel


@dataclass(frozen=True)
class LocalEngine:
    """This process."""

    model: ServedModel

    def run(
        self, work: Work, shared: object, groups: Sequence[int], read: Callable[[int], Any]
    ) -> Iterator[tuple[int, Any]]:
        """As `Engine.run`; no group is lost."""
        for group in groups:
            yield group, work(self.model, shared, read(group))
