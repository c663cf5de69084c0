"""What a process does with memory that it freed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is meant")

FAULTS = """
import resource
import numpy as np
from roundelay.learning.cpu.heap import keep_freed_memory
if {keep}:
    keep_freed_memory()
def faults():
    for _ in range(20):
        np.empty(64 << 20, dtype=np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
print(faults() - before)
"""


def test_freed_memory_is_used_again_without_asking_the_system():
    def run(keep):
        words = [sys.executable, "-c", FAULTS.format(keep=keep)]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    assert run(True) < run(False) / 10


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
