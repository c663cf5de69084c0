"""One question to one site, as bytes, and what moves it there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

OnProgress = Callable[["Errand", dict[str, Any]], None]
"""Told of an errand's progress: ``step``, ``loss``, ``slices_per_second``; or ``waits``: why."""


@dataclass(frozen=True, slots=True)
class Errand:
    """`key` names what is asked: the same errand delivered twice has the same key, and is answered
    with the same bytes. `about` is for people. `learns` says whether its answer needs a network:
    the site then loads torch while the question is on its way."""

    site: str
    key: str
    about: str
    request: bytes
    learns: bool = True


class Transport(Protocol):
    """Moves bytes to sites' doors and back; knows nothing of what they mean."""

    def exchange(self, errands: Sequence[Errand], on_progress: OnProgress) -> list[bytes]:
        """The answers, in the errands' order; several errands are under way side by side.

        Raises SiteAbsentError where a site isn't there, CourierError where the way is broken.
        """

    def present(self) -> set[str]:
        """Sites that were heard of just now."""

    def close(self) -> None:
        """Let go of what was opened."""
