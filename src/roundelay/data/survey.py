"""What a site says of itself before training: numbers alone."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from roundelay.files.canonical import canonical_json

TRAIN, VALIDATION, TEST = "train", "validation", "test"

SPLITS = (TRAIN, VALIDATION, TEST)

POOLED = "pooled"
"""The name under which all sites' patients stand together, for the arm of that name."""


@dataclass(frozen=True, slots=True)
class SiteSurvey:
    """Counts by split, and one digest over the bytes of all images and masks."""

    site: str
    patients: Mapping[str, int]
    slices: Mapping[str, int]
    tumour_slices: Mapping[str, int]
    digest: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def cohort_digest(surveys: Mapping[str, SiteSurvey]) -> str:
    """One digest of all sites' surveys: another cohort, or another split, has another one."""
    return hashlib.sha256(
        canonical_json([surveys[site].as_json() for site in sorted(surveys)])
    ).hexdigest()
