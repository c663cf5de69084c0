"""Every reader of files: a pipe in a file's place is not waited for, and a device is not read."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import TypeAdapter

from roundelay.data.formats.tiff import read_image
from roundelay.data.preprocessing import CropGeometry
from roundelay.data.slice_cache import CutExam, keep_exam, read_exam
from roundelay.errors import LedgerError, RoundelayError
from roundelay.files.mishap import explained
from roundelay.files.reading import read_bytes
from roundelay.files.regular import file_digest
from roundelay.files.text import read_text
from roundelay.files.writing import write_json
from roundelay.inference.output import predictions
from roundelay.learning import machine
from roundelay.learning.model_file import read_model
from roundelay.network.hospital.arm_store import ArmStore
from roundelay.network.hospital.consent import waiting_study
from roundelay.network.hospital.store import AUDIT, audit
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.kit import days_left
from roundelay.plan.arms import lay
from roundelay.records.arm import model_digest
from roundelay.records.closing import read_closing
from roundelay.relay.chain import read_chain
from roundelay.relay.ledger import read_baton
from roundelay.report.watching import _read as read_page
from roundelay.site.optimiser_state import kept_state
from surveys import study, surveys

SHAPE = TypeAdapter(dict[str, str])
DIGEST = "0" * 64


def _state(folder):
    plan = study(recipe={"rounds": 2, "epochs": 1, "optimiser_state": "stay"})
    again = lay(plan, surveys())[0].legs[3].stops[0]
    return kept_state(SimpleNamespace(study=plan, home=folder), again)


def _predict(folder):
    with predictions(folder, [], {}):
        pass


def _last(folder):
    write_json(folder / "visits.json", {0: DIGEST})
    write_json(folder / "answers" / f"{DIGEST}.opener", {"key": "", "context": ""})
    return ArmStore(folder).last()


REFUSING = {
    "bytes": ("file", lambda folder: read_bytes(folder / "file", LedgerError)),
    "text": ("file", lambda folder: read_text(folder / "file", LedgerError, limit=9)),
    "kept": ("file", lambda folder: read_kept(folder / "file", SHAPE, LedgerError, "restore it")),
    "picture": ("a.tif", lambda folder: read_image(folder / "a.tif")),
    "model": ("file", lambda folder: read_model(folder / "file")),
    "ledger": ("file", lambda folder: read_chain(folder / "file")),
    "baton": (f"{DIGEST}.safetensors", lambda folder: read_baton(folder, {"baton": DIGEST})),
    "state": ("cwt-0/optimiser-0.safetensors", _state),
    "key": ("keys/sign.key", own_keys),
    "last model": (f"answers/{DIGEST}.bin", _last),
    "waiting": ("pending/a.json", lambda folder: waiting_study(folder, "a")),
    "closing": ("closing.json", read_closing),
    "arm's model": ("model.safetensors", model_digest),
    "predictions": ("prediction.json", _predict),
}
"""Where each reads, below a folder; each raises an error of ours."""


def put(folder: Path, name: str, kind: str) -> None:
    """A pipe, a link to one, or a device, which must have the rights of a key."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "a device":
        path.symlink_to("/dev/zero")
        return
    pipe = path if kind == "a pipe" else folder / "elsewhere"
    os.mkfifo(pipe, mode=0o600)
    if pipe != path:
        path.symlink_to(pipe)


@pytest.fixture(params=["a pipe", "a link to one", "a device"])
def kind(request):
    return request.param


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", REFUSING)
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, reader, kind):
    name, read = REFUSING[reader]
    put(tmp_path, name, kind)

    with pytest.raises(RoundelayError) as caught:
        read(tmp_path)

    assert Path(name).name in str(caught.value)


def _probe(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "cache_folder", lambda: folder)
        return machine._kept()


def _answer(folder):
    write_json(folder / "answers" / "k.json", {})
    return ArmStore(folder).answer("k")


GOING_ON = {
    "slices": ("exam/about.json", lambda folder: read_exam(folder / "exam"), None),
    "certificate": ("client.crt", lambda folder: days_left(folder / "client.crt"), None),
    "answer": ("answers/k.bin", _answer, None),
    "probe": (machine.PROBE, _probe, {}),
}
"""Where each reads, and what it takes what it can't read for: it is made anew, or isn't told."""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", GOING_ON)
def test_what_can_be_done_without_is_not_waited_for_either(tmp_path, reader, kind):
    name, read, otherwise = GOING_ON[reader]
    put(tmp_path, name, kind)

    assert read(tmp_path) == otherwise


@pytest.mark.timeout(20)
def test_slices_in_whose_place_a_pipe_lies_are_made_anew(tmp_path):
    geometry = CropGeometry(0, 0, 4, 4, (0.0,), (1.0,))
    exam = CutExam(geometry, np.zeros((1, 4, 4, 1)), np.zeros((1, 2), np.uint8))
    for name in ("images.npy", "masks.npy"):
        assert keep_exam(tmp_path / name, exam)
        (tmp_path / name / name).unlink()
        os.mkfifo(tmp_path / name / name)

        assert read_exam(tmp_path / name) is None
        assert not (tmp_path / name).exists()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("touch", [lambda path: audit(path.parent), file_digest])
def test_what_has_no_sentence_of_its_own_is_left_to_the_one_for_all_machines(tmp_path, touch):
    os.mkfifo(tmp_path / AUDIT)

    with pytest.raises(OSError, match="no file but a pipe") as caught:
        touch(tmp_path / AUDIT)

    assert AUDIT in str(explained(caught.value))


@pytest.mark.timeout(20)
def test_a_page_that_is_a_pipe_is_said_to_be_none(tmp_path):
    os.mkfifo(tmp_path / "report.html")

    assert "no file but a pipe" in read_page(tmp_path / "report.html")
