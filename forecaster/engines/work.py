"""Work on items, e.g. groups of rows or fits, and what an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

Item = TypeVar("Item")

# What all items share, what is read of an item -> a result. In a module's top level, since it may go elsewhere.
Work: TypeAlias = "Callable[[Any, Any], Any]"


@dataclass(frozen=True)
class Lost:
    """The result of an item whose work did not end, however often it was tried."""

    why: str


class Engine(Protocol):
    """Does work for items."""

    @property
    def elsewhere(self) -> bool:
        """Whether work is done in other processes."""

    @property
    def workers(self) -> int:
        """How many items are worked on at once."""

    @property
    def threads(self) -> int:
        """Of a worker; 0 = as many as the process may use."""

    def run(
        self, work: Work, shared: object, items: Sequence[Item], read: Callable[[Item], Any], *, ahead: int = 1
    ) -> Iterator[tuple[Item, Any]]:
        """Each item with its result, or `Lost`, as they come. `read` gives what the work needs of an item.

        It is called for `ahead` items of each worker before the worker has time for them. A ForecasterError of the work passes
        through, and ends the others.
        """
