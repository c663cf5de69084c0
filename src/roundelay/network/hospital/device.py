"""Where a hospital's visits compute: looked for as its site starts, not at the first visit."""

WITHOUT_A_LOOK = ("auto", "cpu")
"""What is there on every machine; a site that computes on it starts without loading PyTorch."""


def checked_device(wanted: str) -> str:
    """The device of that name. Raises UserError where it isn't there."""
    if wanted in WITHOUT_A_LOOK:
        return wanted
    from roundelay.learning.machine import find_device

    return find_device(wanted)
