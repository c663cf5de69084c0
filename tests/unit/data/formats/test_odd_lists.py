"""Whatever stands in a JSON file of exams, it is read or refused with a sentence."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nnunet_files as files
from nnunet_files import SETTINGS, write_json
from roundelay.data.formats import datalist, nnunet
from roundelay.errors import DataError

CASES = ["case_1", "case_2"]

MANY = settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)

WORDS = st.sampled_from(
    ["image", "images", "label", "labels", "training", "test", "testing", "fold", "dataset",
     "channel_names", "modality", "background", "ignore", "file_ending", "0", "1", ".nii.gz",
     "../..", "/", ".", "", "\0", "\ud800", "case_1", "imagesTr", "~", "x" * 300, "a\nb", "\u202e"]
)  # fmt: skip

LEAVES = (
    st.none() | st.booleans() | st.integers(-2, 9) | st.integers() | st.floats() | WORDS | st.text()
)

VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def sets(module_path):
    return {
        "nnunet": files.nnunet(module_path / "nnunet", CASES),
        "msd": files.msd(module_path / "msd", CASES),
        "datalist": files.monai(module_path / "list", CASES),
    }


def places(values, here=()):
    """The way to every value within a value."""
    yield here
    if isinstance(values, dict | list):
        keys = values if isinstance(values, dict) else range(len(values))
        for key in keys:
            yield from places(values[key], (*here, key))


def put(values, place, other):
    """A copy with another value at a place, or without it."""
    if not place:
        return other
    changed = copy.deepcopy(values)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if other is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = other
    return changed


def read_or_refused(format_, root, **how):
    """What is found, if anything; every refusal is a sentence of one screen."""
    assert format_.looks_like(root) in (True, False)
    for look in (
        lambda: format_.find_patients(root, SETTINGS, **how),
        lambda: format_.channels_and_labels(root),
    ):
        try:
            found = look()
        except DataError as error:
            assert str(error) and len(error.faults) >= 1
            str(error).encode()
        else:
            if hasattr(found, "patients"):
                assert all("/" not in p.folder for p in found.patients)


KINDS = {"nnunet": nnunet, "msd": nnunet, "datalist": datalist}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masks", [True, False])
def test_a_value_that_is_something_else(sets, kind, masks):
    root = sets[kind]
    path = root if root.is_file() else root / "dataset.json"
    values = json.loads(path.read_text())

    @MANY
    @given(st.sampled_from(list(places(values))), VALUES | st.just(...))
    def other_values(place, other):
        if place or other is not ...:
            write_json(path, json.dumps(put(values, place, other)))
            read_or_refused(KINDS[kind], root, masks=masks)

    try:
        other_values()
    finally:
        write_json(path, values)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_was_cut_or_changed(sets, kind):
    root = sets[kind]
    path = root if root.is_file() else root / "dataset.json"
    text = path.read_text()

    @MANY
    @given(
        st.integers(0, len(text)),
        st.integers(0, 9),
        st.sampled_from(
            ["", ",", "}", "]", '"', "//", "#", "\\", "\\u0000", "1e999", "\x0b", "NaN"]
        ),
    )
    def other_texts(start, length, between):
        path.write_text(text[:start] + between + text[start + length :])
        read_or_refused(KINDS[kind], root)

    try:
        other_texts()
    finally:
        path.write_text(text)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_any_kind(sets, kind):
    root = sets[kind]
    path = root if root.is_file() else root / "dataset.json"
    kept = path.read_bytes()

    @MANY
    @given(st.binary(max_size=40))
    def other_bytes(data):
        path.write_bytes(data)
        read_or_refused(KINDS[kind], root)

    try:
        other_bytes()
    finally:
        path.write_bytes(kept)


def test_folds_of_any_kind(sets):
    path = sets["nnunet"] / "splits_final.json"
    values = [{"train": CASES[:1], "val": CASES[1:]}]

    @MANY
    @given(st.sampled_from(list(places(values))), VALUES)
    def other_folds(place, other):
        write_json(path, json.dumps(put(values, place, other)))
        try:
            nnunet.find_patients(sets["nnunet"], replace(SETTINGS, fold=0))
        except DataError as error:
            str(error).encode()

    try:
        other_folds()
    finally:
        path.unlink()
