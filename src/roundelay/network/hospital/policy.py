"""policy.toml: what a hospital takes part in, and what it lets go."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from roundelay.errors import NetworkError
from roundelay.files.toml_file import Section, read_toml_file
from roundelay.study.sections import Positive, Seal

Share = Annotated[float, Field(gt=0, le=1)]


class Accept(Section):
    """Studies (by digest) and owners (by fingerprint) that need no approval of their own, and
    limits for all. What is left out isn't limited, but for `runs`: how often one study may be run
    here until it is asked for again. `visits` are those of one arm, `steps` those of one visit;
    `least_slices` are the fewest different slices that a visit may train on."""

    studies: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tasks: tuple[Literal["train", "evaluate", "recalibrate"], ...] = (
        "train",
        "evaluate",
        "recalibrate",
    )
    seals: tuple[Seal, ...] = ("sites", "owner", "none")
    encoders: tuple[str, ...] = ()
    rounds: Positive | None = None
    visits: Positive | None = None
    steps: Positive | None = None
    least_slices: Positive = 1
    runs: Positive = 1


class Release(Section):
    """`scores` by ``site``: one row for all patients; by ``patient``: one each, under a number.
    Of fewer than `least_scored` patients none leave: the row of a single one is that patient's.
    A site with fewer than `least_patients` training patients takes no part."""

    scores: Literal["none", "site", "patient"] = "site"
    least_scored: Positive = 5
    least_patients: Positive = 1


class Acceptance(Section):
    """`change`: the most that the weights may differ from those that this site handed over last,
    as a share of their norm. `drop`: the most that Dice may have fallen since then on the site's
    own validation patients."""

    change: Annotated[float, Field(gt=0)] | None = 5.0
    drop: Share | None = None


class Policy(Section):
    """The whole file."""

    accept: Accept = Accept()
    release: Release = Release()
    acceptance: Acceptance = Acceptance()


RENAMED = {"gate": "acceptance", "accept.tasks = calibrate": "recalibrate"}
"""What keys and values were called in earlier versions."""


def read_policy(path: Path) -> Policy:
    """A hospital's policy. Raises NetworkError with every fault of the file at once."""
    return read_toml_file(Policy, path, NetworkError, RENAMED)
