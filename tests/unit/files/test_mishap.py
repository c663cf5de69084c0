"""What the machine refuses is told: what, where, what next; whatever the error leaves out."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from roundelay.errors import DiskFullError, MachineError, MemoryFullError, VisitError
from roundelay.files.mishap import explained, why

PLACE = "/data/RUN/file.bin"


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_that_a_system_knows_is_a_sentence_with_its_file(number):
    found = explained(OSError(number, os.strerror(number), PLACE))

    assert isinstance(found, MachineError) and found.exit_code == 2
    if number != errno.ENOMEM:
        assert PLACE in str(found) and len(str(found).split(". ")) > 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        OSError("odd"),
        OSError(errno.EIO, None),
        OSError(errno.EIO, ""),
        OSError(99999, ""),
    ],
    ids=repr,
)
def test_what_an_error_leaves_out_is_never_none(error):
    for said in (str(explained(error)), str(explained(error, Path(PLACE))), why(error)):
        assert said and "None" not in said and "Errno" not in said
    assert PLACE in str(explained(error, Path(PLACE)))


@pytest.mark.parametrize("name", [PLACE.encode(), Path(PLACE), 7])
def test_a_name_may_be_bytes_a_path_or_a_number(name):
    assert str(explained(OSError(errno.EIO, "io", name))).startswith(
        "File 7 can't" if name == 7 else f"{PLACE} can't"
    )


def test_what_was_meant_stands_for_a_temporary_name():
    error = OSError(errno.EROFS, "Read-only file system", "/data/RUN/.file.bin.1.tmp")

    assert ".tmp" not in str(explained(error, PLACE))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_has_a_class_of_its_own(number):
    assert type(explained(OSError(number, "full", PLACE))) is DiskFullError


def no_memory():
    """What numpy and PyTorch say where memory ends."""
    for ask in (lambda: np.ones(2**58), lambda: torch.ones(2**55)):
        try:
            ask()
        except Exception as error:
            yield error


@pytest.mark.parametrize(
    "error",
    [
        *no_memory(),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("std::bad_alloc"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_too_little_memory_says_what_to_make_smaller(error):
    found = explained(error)

    assert type(found) is MemoryFullError
    assert "recipe.batch" in str(found) and "data.size" in str(found)


def test_how_much_was_asked_for_is_said_where_it_is_known():
    said = RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you tried to"
                        " allocate 144115188075855872 bytes. Error code 12")  # fmt: skip

    assert "(144115188075855872 bytes more were asked for)" in str(explained(said))


def test_a_name_that_the_file_system_cannot_spell_is_said():
    with pytest.raises(UnicodeEncodeError) as caught:
        "Zürich".encode("ascii")

    assert "PYTHONUTF8=1" in str(explained(caught.value))


def test_bytes_of_a_name_that_are_no_utf_8_are_said():
    with pytest.raises(UnicodeEncodeError) as caught:
        os.fsdecode(b"TCGA_M\xfcnchen").encode()

    assert r"A name here is no UTF-8 ('TCGA_M\udcfcnchen'). Rename it." in str(
        explained(caught.value)
    )


@pytest.mark.parametrize(
    "error", [ValueError("no"), RuntimeError("no"), VisitError("no"), KeyError("no"), ImportError()]
)
def test_other_errors_are_left_as_they_are(error):
    assert explained(error) is None


def test_a_run_that_was_going_ends_in_3():
    assert MachineError("x", resumable=True).exit_code == 3
    assert DiskFullError("x").exit_code == 2
