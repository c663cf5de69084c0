"""One question to one site, as bytes, and what moves it there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from roundelay.network.wire.messages import LARGEST_HEAD, Parts

ROOM = 1 << 20
"""Bytes of an answer for what stands around its head and its baton."""

OnProgress = Callable[["Request", dict[str, Any]], None]
"""Told of a request's progress: ``step``, ``loss``, ``slices_per_second``; or ``waits``: why."""


TOLD = ("step", "loss", "slices_per_second")
"""What of a site's progress is carried; nothing else that it says goes further."""


@dataclass(frozen=True, slots=True)
class Request:
    """`about` is for people. `needs_torch` says whether its answer needs it: the site then loads
    torch while the request travels. `steps` is how many its progress may count: only a step more,
    up to these, is a sign that something moves there. `then` names the sites that are to have the
    answer's payload next, if it is taken: they fetch it while it is looked at here."""

    site: str
    about: str
    message: Parts
    needs_torch: bool = True
    steps: int = 0
    then: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Names what is asked: the same request delivered twice has the same key, and is answered
        with the same bytes."""
        return self.message.key

    @property
    def most(self) -> int:
        """Bytes that an answer may have: what came with the question, with Adam's two moments, an
        average and the importance of each weight, and a head. That is five times as much, and
        eight times where weights come in half as many bytes as what serves training."""
        return 8 * len(self.message) + LARGEST_HEAD + ROOM


def too_large(size: int, request: Request) -> str:
    """What is said of an answer that is not fetched, or not read."""
    return f"the answer has {size:,} bytes; more than {request.most:,} can't be right."


class Transport(Protocol):
    """Moves bytes to sites' request handlers and back; knows nothing of what they mean."""

    def exchange(self, requests: Sequence[Request], on_progress: OnProgress) -> list[Parts]:
        """The answers, in the requests' order; several requests travel side by side.

        Raises SiteAbsentError where a site isn't there, CourierError where the connection broke.
        """

    def present(self) -> set[str]:
        """Sites that were heard of just now."""

    def close(self) -> None:
        """Let go of what was opened."""
