"""Surveys and studies for tests that need no images."""

from typing import Any

from roundelay.data.survey import SiteSurvey
from roundelay.study.study import Study

TOY = """
name = "toy"
[data]
root = "data"
size = 32
split = { validation = 0.0, test = 0.34 }
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 1
batch = 2
deterministic = true
[evaluation]
samples = false
"""
"""The smallest study file, of the folder ``data`` beside it."""

SIZES = {"NORTH": 30, "EAST": 12, "SOUTH": 8}


def survey(site: str, slices: int, patients: int = 3) -> SiteSurvey:
    """A site with this many training slices and one test patient."""
    return SiteSurvey(
        site=site,
        patients={"train": patients, "validation": 0, "test": 1},
        slices={"train": slices, "validation": 0, "test": 6},
        tumour_slices={"train": slices // 2, "validation": 0, "test": 3},
        digest=f"{site}-digest",
    )


def surveys(sizes: dict[str, int] = SIZES) -> dict[str, SiteSurvey]:
    return {site: survey(site, slices) for site, slices in sizes.items()}


def study(**sections: dict[str, Any]) -> Study:
    """A study with these values in its sections; top-level keys under ``top``."""
    values = {"name": "toy", "data": {"root": "somewhere"}, **sections.pop("top", {})}
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return Study.model_validate(values)
