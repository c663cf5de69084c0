"""NRRD and MHA: the same exam as NIfTI, a mask of the same kind, and what is refused."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

import nnunet_files
from nifti_files import LPS, RAS, write_exam
from roundelay.cli.app import run_app
from roundelay.data.formats import nifti, nnunet
from roundelay.data.formats.known import read_volume
from roundelay.data.image_settings import ImageSettings
from roundelay.data.opening import read_patients
from roundelay.errors import DataError, MissingExtraError
from roundelay.study.file import read_study

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is in the group test")

WANTED = ImageSettings(
    channels=("t1ce", "t1", "t2", "flair"),
    regions=(("whole", (1, 2, 4)), ("core", (1, 4)), ("enhancing", (4,))),
)
TURNED = np.array([[0.0, -1.5, 0, 4], [0.8, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1]])
ANGLE = np.deg2rad(20)
OBLIQUE = np.array(
    [
        [np.cos(ANGLE), -np.sin(ANGLE), 0, 3],
        [np.sin(ANGLE), np.cos(ANGLE), 0, -2],
        [0, 0, 2.5, 1],
        [0, 0, 0, 1],
    ]
)


def as_kind(source, place, kind, *, packed=True):
    """The same exam, each file written anew by SimpleITK."""
    for path in source.iterdir():
        place.mkdir(parents=True, exist_ok=True)
        own = place / path.name.replace(".nii.gz", kind)
        sitk.WriteImage(sitk.ReadImage(str(path)), str(own), useCompression=packed)
    return place


def both(tmp_path, kind, **more):
    """The exam as NIfTI, and as the other kind."""
    source = write_exam(tmp_path / "plain" / "P1", **more)
    as_kind(source, tmp_path / "own" / "P1", kind)
    return [found(tmp_path / "plain"), found(tmp_path / "own")]


def found(root):
    (patient,) = nifti.find_patients(root, WANTED).patients
    return patient


@pytest.mark.parametrize("kind", [".nrrd", ".mha"])
@pytest.mark.parametrize("affine", [RAS, LPS, TURNED, OBLIQUE], ids=["RAS", "LPS", "turned", "obl"])
def test_an_exam_is_the_same_in_any_of_the_kinds_and_so_is_a_mask(tmp_path, kind, affine):
    plain, own = both(tmp_path, kind, affine=affine)

    volumes = [read_volume(plain), read_volume(own)]
    assert (volumes[0].channels == volumes[1].channels).all()
    assert (volumes[0].regions == volumes[1].regions).all()
    assert np.allclose(volumes[0].grid.affine, volumes[1].grid.affine, atol=1e-5)
    assert plain.slices == own.slices

    ((name, data),) = nifti.mask_files(own, volumes[1], volumes[1].regions).items()
    assert name == f"P1{kind}" and nifti.mask_names(plain) == ["P1.nii.gz"]
    (tmp_path / name).write_bytes(data)
    mask, exam = (
        sitk.ReadImage(str(path))
        for path in (tmp_path / name, own.images[0].with_name(f"P1_seg{kind}"))
    )
    assert (sitk.GetArrayFromImage(mask) == sitk.GetArrayFromImage(exam)).all()
    for say in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(mask, say)(), getattr(exam, say)(), atol=1e-5)
    assert mask.GetPixelID() == sitk.sitkUInt8


@pytest.mark.parametrize("kind", [".nrrd", ".mha"])
def test_a_bit_that_was_turned_is_found_wherever_it_is(tmp_path, kind):
    _, own = both(tmp_path, kind)
    path, rng = own.images[0], np.random.default_rng(0)
    data = path.read_bytes()
    begin = data.index(b"LOCAL\n" if kind == ".mha" else b"\n\n") + 20

    for place in rng.integers(begin, len(data) - 8, 12):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(DataError, match=r"P1_t1ce.* is damaged"):
            read_volume(own)
    path.write_bytes(data[: len(data) - 30])
    with pytest.raises(DataError, match=r"P1_t1ce.* is damaged"):
        read_volume(own)


@pytest.mark.parametrize("kind", [".nrrd", ".mha"])
def test_files_that_are_not_packed_are_read_and_cut_ones_refused(tmp_path, kind):
    source = write_exam(tmp_path / "plain" / "P1")
    as_kind(source, tmp_path / "own" / "P1", kind, packed=False)
    own = found(tmp_path / "own")

    assert (read_volume(own).channels == read_volume(found(tmp_path / "plain")).channels).all()
    path = own.images[0]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="is damaged"):
        read_volume(own)


@pytest.mark.parametrize(("kind", "whole"), [(".nhdr", ".nrrd"), (".mhd", ".mha")])
def test_a_header_without_its_voxels_is_refused(tmp_path, kind, whole):
    source = write_exam(tmp_path / "plain" / "P1")
    as_kind(source, tmp_path / "own" / "P1", kind, packed=False)

    with pytest.raises(DataError, match=rf"{kind} is a header .*as one {whole} file"):
        found(tmp_path / "own")


def test_a_file_that_says_nothing_of_left_and_right_is_said_so(tmp_path):
    _, own = both(tmp_path, ".nrrd")
    for path in (*own.images, *own.masks):
        data = path.read_bytes()
        path.write_bytes(data.replace(b"space: left-posterior-superior\n", b"space dimension: 3\n"))

    (opened,) = read_patients([own])

    assert any("where left and right are" in reason for reason, _ in opened.noticed)


def test_without_the_extra_its_install_line_is_the_answer(tmp_path, monkeypatch):
    both(tmp_path, ".mha")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)

    with pytest.raises(MissingExtraError, match=r"roundelay\[itk\]"):
        found(tmp_path / "own")


@pytest.mark.parametrize("kind", [".nrrd", ".mha"])
def test_a_set_of_nnunet_may_be_of_them(tmp_path, kind):
    plain = nnunet_files.nnunet(tmp_path / "plain", ["a", "b"])
    for folder in ("imagesTr", "labelsTr"):
        as_kind(plain / folder, tmp_path / "own" / folder, kind)
    shutil.copy(plain / "dataset.json", tmp_path / "own")
    nnunet_files.in_place(
        tmp_path / "own" / "dataset.json", lambda values: values.update(file_ending=kind)
    )

    volumes = [
        [read_volume(one) for one in nnunet.find_patients(root, nnunet_files.SETTINGS).patients]
        for root in (plain, tmp_path / "own")
    ]

    assert len(volumes[1]) == 2
    for first, second in zip(*volumes, strict=True):
        assert (first.channels == second.channels).all()
        assert (first.regions == second.regions).all()


def test_init_recognises_them_and_a_pattern_may_have_their_ending(tmp_path):
    for number in range(3):
        source = write_exam(tmp_path / "plain" / f"P{number}")
        as_kind(source, tmp_path / "own" / f"P{number}", ".nrrd")
    shutil.rmtree(tmp_path / "plain")

    written = tmp_path / "study.toml"
    assert run_app(["init", str(tmp_path / "own"), "--out", str(written)]) == 0

    data = read_study(written).data
    assert data.format == "nifti" and set(data.channels) == {"t1ce", "t1", "t2", "flair"}
    named = replace(WANTED, named=(("t1ce", "*_t1ce.nrrd"),))
    assert len(nifti.find_patients(tmp_path / "own", named).patients) == 3
