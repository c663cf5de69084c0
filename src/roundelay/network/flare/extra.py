"""NVIDIA FLARE, or the line that installs it."""

from importlib.util import find_spec

from roundelay.errors import MissingExtraError


def need_flare() -> None:
    """Raise MissingExtraError where the package `nvflare` isn't installed. It isn't loaded here:
    that takes a third of a second of everybody who only starts its processes."""
    if find_spec("nvflare") is None:
        raise MissingExtraError("A network between hospitals", "network")
