"""Work on groups of rows, and what an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from forecaster.serving.answer import ServedModel

# The model, what all groups share, the bytes of a group -> a result. In a module's top level, since it may go elsewhere.
Work: TypeAlias = "Callable[[ServedModel, Any, Any], Any]"


@dataclass(frozen=True)
class Lost:
    """The result of a group whose work did not end, however often it was tried."""

    why: str


class Engine(Protocol):
    """Does work for groups."""

    def run(
        self, work: Work, shared: object, groups: Sequence[int], read: Callable[[int], Any]
    ) -> Iterator[tuple[int, Any]]:
        """Each group with its result, or `Lost`, as they come. `read` gives the bytes of a group.

        A ForecasterError of the work passes through, and ends the others.
        """
