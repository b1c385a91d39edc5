"""An engine without other processes: all that would be sent to a worker and back is pickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from forecaster.engines.work import Item, Lost, Work


@dataclass
class PicklingEngine:
    """Does work as if elsewhere; the first `losses` items are lost."""

    losses: int = 0
    workers: int = 2
    threads: int = 1
    elsewhere: bool = True
    done: list[str] = field(default_factory=list)  # names of the work

    def run(
        self, work: Work, shared: object, items: Sequence[Item], read: Callable[[Item], Any], *, ahead: int = 1
    ) -> Iterator[tuple[Item, Any]]:
        """As `Engine.run`, the last item first."""
        del ahead
        for item in reversed(items):
            if self.losses:
                self.losses -= 1
                yield item, Lost("its worker died")
                continue
            sent = pickle.loads(pickle.dumps((work, shared, read(item))))
            self.done.append(work.__name__)
            yield item, pickle.loads(pickle.dumps(sent[0](*sent[1:])))

    @contextmanager
    def opened(self, _settings: object) -> Iterator[PicklingEngine]:
        """In place of `open_engine`."""
        yield self
