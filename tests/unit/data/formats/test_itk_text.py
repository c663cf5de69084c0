"""Headers of NRRD and MHA files that SimpleITK takes otherwise than they are meant, or hangs on."""

import zlib

import numpy as np
import pytest

from roundelay.data.formats.itk_file import itk_header, itk_image
from roundelay.errors import DataError

pytest.importorskip("SimpleITK")

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
RAW = VOXELS.tobytes()
MHA = "ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\nDimSize = 4 3 2\n\
ElementType = MET_SHORT\n"
NRRD = "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n\
space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\n"
LOCAL = "ElementDataFile = LOCAL\n"


def read(place, name, text, data=RAW):
    (place / "secret.raw").write_bytes(bytes(48))
    path = place / name
    path.write_bytes(text.encode() + data)
    itk_header(path, path.read_bytes())
    return np.asarray(itk_image(path, path.read_bytes()).dataobj).T


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mha", MHA + LOCAL), ("a.mha", (MHA + LOCAL).replace("\n", "\r\n")),
        ("a.mha", "bitpix = 16\ndim[0] = 3\n" + MHA + LOCAL), ("a.nrrd", NRRD + "\n"),
        ("a.nrrd", (NRRD + "\n").replace("\n", "\r\n")),
    ],
)  # fmt: skip
def test_what_is_meant_is_read(tmp_path, name, text):
    np.testing.assert_array_equal(read(tmp_path, name, text), VOXELS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mha", MHA + " ElementDataFile = secret.raw\n"),
        ("a.mha", MHA + "ElementDataFile : secret.raw\n"),
        ("a.mha", MHA + "ElementDataFile = secret.raw"),
        ("a.mha", MHA + "ElementDataFile = secret.raw\n" + LOCAL),
        ("a.mha", MHA + "ElementDataFile : secret.raw\n" + LOCAL),
        ("a.mha", MHA + "ElementDataFile = ../secret.raw\n"),
        ("a.nrrd", (NRRD + "data file: secret.raw\n\n").replace("\n", "\r")),
        ("a.nrrd", (NRRD + "data file: secret.raw").replace("\n", "\r") + "\n\n"),
        ("a.nrrd", NRRD + "data file: secret.raw"),
    ],
)
def test_no_spelling_reads_voxels_from_another_file(tmp_path, name, text):
    with pytest.raises(DataError, match=r"is damaged|lie in another file"):
        read(tmp_path, name, text, b"")


@pytest.mark.parametrize(
    ("old", "new", "data"),
    [
        ("NDims = 3", "NDims = -3", RAW),  # SimpleITK never comes back
        ("NDims = 3", "NDims = 4", RAW), ("4 3 2", "0 3 2", RAW), ("4 3 2", "-4 3 2", RAW),
        ("4 3 2", "4 3 1", RAW), ("Data = False", "Data = 1", zlib.compress(RAW)),
        ("NDims", "NDims = 3\nNDims", RAW), ("ObjectType", "Offset = nan 0 0\nObjectType", RAW),
    ],
)  # fmt: skip
def test_a_header_in_which_readers_differ_is_refused(tmp_path, old, new, data):
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path, "a.mha", MHA.replace(old, new) + LOCAL, data)
