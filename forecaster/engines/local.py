"""Work in this process, one item after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.engines.work import Item, Work


@dataclass(frozen=True)
class LocalEngine:
    """This process."""

    threads: int = 0
    workers: int = 1
    elsewhere: bool = False

    def run(
        self, work: Work, shared: object, items: Sequence[Item], read: Callable[[Item], Any], *, ahead: int = 0
    ) -> Iterator[tuple[Item, Any]]:
        """As `Engine.run`; no item is lost."""
        del ahead  # one item after the other
        for item in items:
            yield item, work(shared, read(item))


def usable_processors() -> int:
    """How many processors this process may use: fewer than the machine has under taskset or in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
