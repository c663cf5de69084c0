"""`roundelay pretrain`: an encoder's weights from synthetic patients, declared by a study."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors

from roundelay.cli.app import run_app
from roundelay.errors import ModelError, RunFolderError, StudyError
from roundelay.learning.networks import build_network
from roundelay.learning.pretrained import load_encoder
from roundelay.learning.state import model_arrays
from roundelay.learning.weights_source import PretrainedHeader, read_pretrained, source_of
from roundelay.phantom.cohort import make_toy
from roundelay.running.pretrain import pretrain, pretraining, write_encoder
from roundelay.study.file import read_study
from roundelay.study.study import Study
from surveys import TOY, study

ENCODER = "resnet18_quarter"
HEADER = PretrainedHeader(
    format=1, encoder=ENCODER, source="synthetic patients", slice_visits=6000,
    study="0" * 64, cohort="1" * 64, head="2" * 64,
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(module_path):
    path = module_path / "weights.safetensors"
    write_encoder(path, model_arrays(build_network(ENCODER, seed=7)), HEADER)
    return path


def taking(path, **more):
    return study(model={"encoder": ENCODER, "weights": str(path), **more})


def test_the_study_is_the_preset_s_recipe_on_synthetic_patients_pooled():
    found, preset = (
        pretraining("resnet18", seed=3, slices=6000),
        read_study("benchmark", data=Path()),
    )

    assert (found.arms, found.seeds, found.data.format) == (("pooled",), (3,), "phantom")
    assert found.recipe.rounds * 5 * found.recipe.steps * found.recipe.batch == 6000
    same = {"rounds": 0, "steps": 0}
    assert found.recipe.model_copy(update=same) == preset.recipe.model_copy(update=same)
    assert pretraining("resnet34").recipe.deep_supervision == 0  # another's network has no heads


@pytest.mark.parametrize("slices", [0, 10**8])
def test_a_number_of_slices_that_can_t_be_is_refused(slices):
    with pytest.raises(StudyError, match="from 1 to"):
        pretraining(ENCODER, slices=slices)


@pytest.mark.parametrize(("encoder", "seed"), [(ENCODER, 2**63), ("a\nb", 0), ("", 0)])
def test_what_no_study_can_have_is_refused_in_a_sentence(encoder, seed):
    with pytest.raises(StudyError, match="Such a pretraining can't be run"):
        pretraining(encoder, seed=seed)


def test_the_weights_are_the_encoder_s_and_load_strictly(weights):
    wanted = model_arrays(build_network(ENCODER, seed=7))
    model = build_network(ENCODER, seed=1)

    load_encoder(model, str(weights), encoder=ENCODER)

    found = model_arrays(model)
    own = [name for name in found if name.startswith("encoder.")]
    assert own and all(np.array_equal(found[n], wanted[n]) for n in own if "num_batches" not in n)
    with pytest.raises(ModelError, match="do not fit encoder 'resnet18'"):
        load_encoder(build_network("resnet18", seed=1), str(weights), encoder="resnet18")


def test_a_study_declares_them_with_their_slice_visits_and_digest(weights):
    source = source_of(taking(weights).model)

    assert source.slice_visits == 6000 and source.licence is None
    assert str(source) == (
        f"synthetic patients, 6,000 slice-visits before the study's own, SHA-256 {source.sha256}"
    )
    assert set(source.as_json()) == {"source", "sha256", "slice_visits"}


def test_the_digest_of_the_file_is_part_of_the_study_s_where_it_is_named(weights):
    sha256 = source_of(taking(weights).model).sha256
    model = build_network(ENCODER, seed=1)

    load_encoder(model, str(weights), encoder=ENCODER, sha256=sha256)
    with pytest.raises(ModelError, match="not the file of weights that the study means"):
        load_encoder(model, str(weights), encoder=ENCODER, sha256="0" * 64)

    assert taking(weights).digest == taking("another.pth").digest
    assert taking(weights, weights_sha256=sha256).digest != taking(weights).digest


def test_a_digest_of_no_file_is_refused():
    with pytest.raises(ValueError, match="belongs to weights that are a file"):
        study(model={"weights_sha256": "0" * 64})


def test_a_file_from_elsewhere_declares_nothing_and_a_damaged_one_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")

    assert source_of(taking(tmp_path / "other.safetensors").model) is None
    assert source_of(taking(tmp_path / "not-there.safetensors").model) is None
    with pytest.raises(ModelError, match="no weights file"):
        read_pretrained(tmp_path / "broken.safetensors")


def test_a_place_that_is_taken_is_refused_before_training(tmp_path, weights):
    for place, why in ((weights, "is there already"), (tmp_path / "w.pth", "safetensors file")):
        with pytest.raises(RunFolderError, match=why):
            pretrain(pretraining(ENCODER), place)


@pytest.mark.usefixtures("few_resamples")
def test_pretrained_weights_go_into_a_study_and_are_told_of_in_run_and_model(
    tmp_path, monkeypatch, capsys
):
    make_toy(tmp_path / "data", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=2, size=64)
    (tmp_path / "study.toml").write_text(TOY)
    toy = read_study(tmp_path / "study.toml").model_dump(mode="json", exclude_none=True)
    toy |= {"arms": ["pooled"], "data": {**toy["data"], "format": "phantom"}}
    plan = Study.model_validate_json(json.dumps(toy))
    monkeypatch.setattr("roundelay.site.cohort.make_phantom", lambda root: root)
    monkeypatch.setattr("roundelay.running.pretrain.pretraining", lambda *_, **__: plan)
    place = tmp_path / "w.safetensors"

    assert run_app(["pretrain", str(place), "--encoder", ENCODER, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    lines = f'weights = "w.safetensors"\nweights_sha256 = "{told["sha256"]}"'
    text = TOY.replace('"resnet18_quarter"', f'"resnet18_quarter"\n{lines}')
    (tmp_path / "with.toml").write_text(text)
    assert run_app(["run", str(tmp_path / "with.toml"), "--out", str(tmp_path / "RUN")]) == 0

    recorded = json.loads((tmp_path / "RUN" / "run.json").read_text())["weights"]
    assert recorded["slice_visits"] == told["slice_visits"] == 4
    assert recorded["sha256"] == told["sha256"] and "phantom" in recorded["source"]
    model = tmp_path / "RUN" / "arms" / "cwt-0" / "model.safetensors"
    with safetensors.safe_open(model, "numpy") as file:
        assert json.loads(file.metadata()["roundelay"])["weights"] == recorded
    page = (tmp_path / "RUN" / "report.html").read_text()
    assert "slice-visits before the study" in page and told["sha256"] in page
    place.unlink()  # what a study declares stands in its record, wherever the file is by now
    assert run_app(["ledger", "verify", str(tmp_path / "RUN")]) == 0
