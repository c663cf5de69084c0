"""The learning rate at every step of the whole itinerary."""

from math import cos, pi

WARM_UP = 0.3

START, END = 25.0, 1e4
"""The one cycle begins at a 25th of the peak and ends at a 10,000th of that."""


def learning_rate(schedule: str, step: int, total_steps: int, peak: float) -> float:
    """The rate of a step, counted from 0 over all stops of an arm.

    ``constant``; ``one_cycle`` (Smith 2018; PyTorch's OneCycleLR with its defaults); ``cosine``
    (PyTorch's CosineAnnealingLR down to 0). Raises ValueError for a step outside of the schedule.
    """
    if not 0 <= step < total_steps:
        raise ValueError(f"step {step} is not one of {total_steps}")
    if schedule == "constant":
        return peak
    if schedule == "cosine":
        return peak * (1 + cos(pi * step / total_steps)) / 2
    if schedule == "one_cycle":
        top = WARM_UP * total_steps - 1
        if step <= top:
            return _between(peak / START, peak, step / top)
        return _between(peak, peak / START / END, (step - top) / (total_steps - 1 - top))
    raise ValueError(f"schedule {schedule!r} is none of constant, one_cycle, cosine")


def _between(begin: float, end: float, part: float) -> float:
    return end + (begin - end) * (1 + cos(pi * part)) / 2
