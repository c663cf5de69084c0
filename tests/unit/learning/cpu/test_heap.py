"""What a process does with memory that it freed."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roundelay.learning.cpu import heap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is meant")


class Library:
    """A C library that notes what it is asked for; its heap begins at 5 and ends where `malloc`
    put it."""

    def __init__(self):
        self.asked, self.end = [], 5

        def noting(name, answer):
            def call(*values):
                self.asked.append((name, *values))
                return answer(*values)

            return call

        def malloc(size):
            self.end += size
            return 7

        for name, answer in {
            "mallopt": lambda *_: 1,
            "sbrk": lambda _: self.end,
            "malloc": malloc,
            "free": lambda _: None,
            "madvise": lambda *_: 0,
        }.items():
            setattr(self, name, noting(name, answer))


def asked_of(library, monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: library)
    heap.keep_freed_memory.__wrapped__()  # without the memory of an earlier call
    return library.asked


def test_glibc_is_told_to_map_nothing_and_to_give_nothing_back(monkeypatch):
    library = Library()
    library.gnu_get_libc_version = None

    asked = asked_of(library, monkeypatch)

    m_mmap_max, m_trim_threshold = -4, -1  # malloc.h
    assert asked[:2] == [("mallopt", m_mmap_max, 0), ("mallopt", m_trim_threshold, -1)]


def test_large_pages_are_asked_for_over_half_of_the_memory_which_stays_the_heaps(monkeypatch):
    library = Library()
    library.gnu_get_libc_version = None
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2

    asked = asked_of(library, monkeypatch)

    place = 2 << 20
    assert ("malloc", half) in asked and ("free", 7) in asked
    assert asked[-1] == ("madvise", place, 5 + half - place, mmap.MADV_HUGEPAGE)


def test_another_c_library_is_left_alone(monkeypatch):
    assert asked_of(Library(), monkeypatch) == []


ADVISED = """
from pathlib import Path
from roundelay.learning.cpu.heap import keep_freed_memory
import torch
if {keep}:
    keep_freed_memory()
block = torch.ones(64 << 20, dtype=torch.uint8)
place = block.data_ptr()
for line in Path("/proc/self/smaps").read_text().splitlines():
    first, *rest = line.split()
    if "-" in first and not first.endswith(":"):
        begin, end = (int(address, 16) for address in first.split("-"))
        holds = begin <= place + (32 << 20) < end
    elif first == "VmFlags:" and holds:
        print("hg" in rest)
"""


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="this kernel has no large pages",
)
def test_what_a_step_takes_lies_where_large_pages_were_asked_for():
    def run(keep):
        words = [sys.executable, "-c", ADVISED.format(keep=keep)]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    assert (run(True), run(False)) == ("True", "False")
