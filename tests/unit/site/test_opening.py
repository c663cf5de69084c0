"""A site opens its own patients' files and no others, and its numbers are those one counts."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from roundelay.couriers.here import HereCourier
from roundelay.data.left_out import BAD, UNUSABLE
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.slice_cache import SliceCache
from roundelay.errors import DataError
from roundelay.learning.machine import machine_on
from roundelay.phantom.cohort import make_toy
from roundelay.site.cohort import open_sites
from roundelay.site.folds import survey_folds
from roundelay.site.opening import open_local_site, survey
from surveys import study

SITES = {"NORTH": 4, "EAST": 2}
SLICES = 5


@pytest.fixture(scope="module")
def cohort(module_path):
    return make_toy(module_path / "data", seed=0, patients=SITES, slices=SLICES, size=48)


@pytest.fixture
def damaged(tmp_path):
    """The same cohort; no image of EAST can be read."""
    root = make_toy(tmp_path / "data", seed=0, patients=SITES, slices=SLICES, size=48)
    for path in root.glob("*EAST*/*.tif"):
        path.write_bytes(b"damaged")
    return root


def opened(root, site, tmp_path, evaluation=None, **data):
    split = {"validation": 0.25, "test": 0.25}
    plan = study(data={"root": str(root), "split": split, **data}, evaluation=evaluation or {})
    return open_local_site(
        site,
        plan,
        open_sites(plan),
        cache=SliceCache(Preprocessing("zscore", "none", 32), None),
        machine=machine_on("cpu", False, False),
        home=tmp_path,
    )


def counted(root, folders):
    """Slices, and slices with any tumour, of these patients' folders."""
    masks = [path for folder in folders for path in sorted(root.glob(f"{folder}/*_mask.tif"))]
    return len(masks), sum(bool(np.asarray(Image.open(path)).any()) for path in masks)


@pytest.mark.parametrize("slices", ["all", "positive"])
def test_a_sites_survey_is_what_one_counts_in_its_folders(cohort, tmp_path, slices):
    site = opened(cohort, "NORTH", tmp_path, slices=slices)

    found = survey(site)

    of = {split: [p.folder for p in site.patients if p.split == split] for split in found.patients}
    assert found.site == "NORTH"
    assert found.patients == {"train": 2, "validation": 1, "test": 1}
    assert {split: len(folders) for split, folders in of.items()} == found.patients
    for split, folders in of.items():
        total, tumour = counted(cohort, folders)
        assert 0 < tumour < total == SLICES * len(folders)
        assert found.tumour_slices[split] == tumour
        trains_less = split == "train" and slices == "positive"
        assert found.slices[split] == (tumour if trains_less else total)


def test_a_sites_digest_is_of_its_own_files_alone(cohort, damaged, tmp_path):
    whole = survey(opened(cohort, "NORTH", tmp_path))

    assert survey(opened(damaged, "NORTH", tmp_path)) == whole
    path = sorted(damaged.glob("*NORTH*/*_3.tif"))[0]
    image = np.array(Image.open(path))
    image[0, 0, 0] ^= 1
    Image.fromarray(image).save(path)
    changed = survey(opened(damaged, "NORTH", tmp_path))
    assert changed.digest != whole.digest
    assert (changed.patients, changed.slices) == (whole.patients, whole.slices)


@pytest.mark.parametrize("site", ["EAST", "pooled"])
def test_a_damaged_image_is_found_by_whoever_opens_it(damaged, tmp_path, site):
    with pytest.raises(DataError, match=r"EAST.*can't be read as an image"):
        opened(damaged, site, tmp_path)


def test_the_pooled_site_is_all_sites_together(cohort, tmp_path):
    pooled = opened(cohort, "pooled", tmp_path)

    alone = [p for site in SITES for p in opened(cohort, site, tmp_path).patients]
    assert sorted(pooled.patients, key=lambda p: p.id) == sorted(alone, key=lambda p: p.id)
    assert survey(pooled).slices["train"] == sum(
        survey(opened(cohort, site, tmp_path)).slices["train"] for site in SITES
    )


def test_at_the_site_that_is_left_out_all_patients_test(cohort, tmp_path):
    left_out = {"leave_out": "EAST"}

    assert survey(opened(cohort, "EAST", tmp_path, left_out)).patients["test"] == 2
    assert survey(opened(cohort, "NORTH", tmp_path, left_out)).patients["train"] == 2


WATCHED = """
import json, sys
from pathlib import Path
touched = []
sys.addaudithook(lambda event, args: touched.append(str(args[0])) if event == "open" else None)
from roundelay.couriers.here import HereCourier
from roundelay.data.left_out import BAD, UNUSABLE
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.slice_cache import SliceCache
from roundelay.learning.machine import machine_on
from roundelay.plan.arms import lay
from roundelay.running.starting import start_baton
from roundelay.site.cohort import open_sites
from roundelay.site.folds import survey_folds
from roundelay.site.opening import open_local_site, survey
from roundelay.site.evaluation import evaluate
from roundelay.site.visit import train
from roundelay.study.study import Study

plan = Study.model_validate_json(sys.argv[1])
site = open_local_site(
    "NORTH", plan, open_sites(plan),
    cache=SliceCache(Preprocessing("zscore", "none", 32), None),
    machine=machine_on("cpu", False, False), home=Path(sys.argv[2]),
)
stop = lay(plan, {"NORTH": survey(site)})[0].legs[0].stops[0]
visit = train(site, stop, start_baton(plan, 0), lambda step: None)
evaluate(site, visit.baton, "test")
print(json.dumps([name for name in touched if name.endswith(".tif")]))
"""


def test_a_site_surveys_trains_and_scores_without_opening_another_sites_file(cohort, tmp_path):
    split = {"validation": 0.25, "test": 0.25}
    plan = study(
        data={"root": str(cohort), "size": 32, "split": split},
        model={"encoder": "resnet18_quarter"},
        recipe={"steps": 1, "batch": 2, "rounds": 1},
    )

    arguments = [sys.executable, "-c", WATCHED, plan.model_dump_json(), str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)

    images = json.loads(done.stdout.splitlines()[-1])
    # Every image and mask of four patients is read at least once.
    assert len({name for name in images if "NORTH" in name}) == 4 * SLICES * 2
    assert not [name for name in images if "NORTH" not in name]


def leaving_out(root, **data):
    return study(data={"root": str(root), "on_bad_exam": "leave-out", **data})


def test_a_site_all_of_whose_exams_are_faulty_is_left_out_and_said(damaged, tmp_path):
    plan = leaving_out(damaged)
    courier = HereCourier(plan, home=tmp_path, machine=machine_on("cpu", False, False), on_step=len)

    assert list(courier.survey()) == ["NORTH"]
    said = [(one["reason"], one["count"]) for one in courier.facts()["left_out"]]
    assert (UNUSABLE, 1) in said and (BAD, SITES["EAST"]) in said

    found = survey_folds(leaving_out(damaged, folds=2))
    assert [list(surveys) for surveys in found.folds] == [["NORTH"], ["NORTH"]]
    assert f"{UNUSABLE}: 1 (EAST)." in map(str, found.left_out)


def test_where_no_exam_of_any_site_can_be_used_all_faults_are_named(damaged, tmp_path):
    for path in damaged.glob("*NORTH*/*.tif"):
        path.write_bytes(b"damaged")
    machine = machine_on("cpu", False, False)

    with pytest.raises(DataError, match="are left out, and none is without") as caught:
        HereCourier(leaving_out(damaged), home=tmp_path, machine=machine, on_step=len).survey()
    assert len(caught.value.faults) == sum(SITES.values())
