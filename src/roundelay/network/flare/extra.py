"""NVIDIA FLARE, or the line that installs it."""

from typing import Any

from roundelay.errors import MissingExtraError


def flare() -> Any:
    """The package `nvflare`. Raises MissingExtraError where it isn't installed."""
    try:
        import nvflare
    except ImportError as error:
        raise MissingExtraError("A network between hospitals", "network") from error
    return nvflare
