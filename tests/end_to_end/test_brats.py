"""The two real exams beside the repository, as two sites: from init to scores and masks."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import roundelay
from roundelay.study.file import read_study

BRATS = Path(__file__).parents[3] / "shared" / "data" / "brats"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BRATS.exists(), reason="../shared/data/brats is not there"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The study that init wrote, made small and given sites, and its run."""
    from typer.testing import CliRunner

    from roundelay.cli.app import app

    root = tmp_path_factory.mktemp("brats")
    written = CliRunner().invoke(app, ["init", str(BRATS), "--out", str(root / "study.toml")])
    assert written.exit_code == 0, written.output
    (root / "sites.csv").write_text(
        "patient,site,split\nTCGA-DU-7294,HENRY_FORD,train\nTCGA-FG-6692,CASE_WESTERN,train\n"
    )
    study = read_study(root / "study.toml")
    small = study.model_copy(
        update={
            "seeds": (0,),
            "arms": ("cwt",),
            "data": study.data.model_copy(
                update={"size": 64, "sites": f"table:{root / 'sites.csv'}"}
            ),
            "model": study.model.model_copy(update={"encoder": "resnet18_quarter"}),
            "recipe": study.recipe.model_copy(
                update={"rounds": 1, "epochs": None, "steps": 8, "recalibrate_batchnorm": False}
            ),
        }
    )
    roundelay.run(small, root / "RUN")
    return root, study


def test_init_sees_four_channels_and_the_labels_of_brats(place):
    data = place[1].data

    assert data.format == "nifti"
    assert data.channels == ("t1ce", "t1", "t2", "flair")
    assert {name: set(own) for name, own in data.labels.items()} == {
        "whole": {1, 2, 4},
        "core": {1, 4},
        "enhancing": {4},
    }


def test_masks_lie_on_the_exams_and_scores_are_of_them(place, tmp_path):
    root, _ = place
    roundelay.predict(root / "RUN", BRATS, tmp_path / "OUT")
    found = roundelay.evaluate(root / "RUN", BRATS)

    for score in found.scores:
        exam = nib.load(BRATS / score.patient / f"{score.patient}_t1ce.nii.gz")
        mask = nib.load(tmp_path / "OUT" / f"{score.patient}.nii.gz")
        assert mask.shape == exam.shape == (240, 240, 155)
        assert np.allclose(mask.affine, exam.affine, atol=1e-6)
        marked = np.asanyarray(mask.dataobj)
        wanted = np.asanyarray(
            nib.load(BRATS / score.patient / f"{score.patient}_seg.nii.gz").dataobj
        )
        assert set(np.unique(marked)) <= {0, 1, 2, 4}
        own = score.of_region("enhancing")
        assert (own.tp, own.fp) == (
            int(((marked == 4) & (wanted == 4)).sum()),
            int(((marked == 4) & (wanted != 4)).sum()),
        )
        assert own.tp + own.fn == int((wanted == 4).sum())
    shutil.rmtree(tmp_path / "OUT")
