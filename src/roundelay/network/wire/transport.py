"""One question to one site, as bytes, and what moves it there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

OnProgress = Callable[["Request", dict[str, Any]], None]
"""Told of a request's progress: ``step``, ``loss``, ``slices_per_second``; or ``waits``: why."""


@dataclass(frozen=True, slots=True)
class Request:
    """`key` names what is asked: the same request delivered twice has the same key, and is answered
    with the same bytes. `about` is for people. `needs_torch` says whether its answer needs it:
    the site then loads torch while the request travels."""

    site: str
    key: str
    about: str
    message: bytes
    needs_torch: bool = True


class Transport(Protocol):
    """Moves bytes to sites' request handlers and back; knows nothing of what they mean."""

    def exchange(self, requests: Sequence[Request], on_progress: OnProgress) -> list[bytes]:
        """The answers, in the requests' order; several requests travel side by side.

        Raises SiteAbsentError where a site isn't there, CourierError where the connection broke.
        """

    def present(self) -> set[str]:
        """Sites that were heard of just now."""

    def close(self) -> None:
        """Let go of what was opened."""
