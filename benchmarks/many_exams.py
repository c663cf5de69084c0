"""Many exams of BraTS' size: the first and the second epoch, memory, and the cache on the disk.

Made-up exams of 4 x 240 x 240 x 155 voxels, no two alike: of one channel each has a file of its
own, a voxel of every slice changed; the others and the mask are links to four kinds. A site opens
them as a study does (read to the end, compared, split), cuts and keeps them, and draws an epoch
over all slices: twice, the second time from the cache. Then a network trains on batches from the
cache, and for comparison of a few exams that stay in memory, by turns. Says beforehand how much
time and room it will take; writes results/many_exams.json.

    python benchmarks/many_exams.py [--exams 1000] [--batches 200] [--folder DIR]
"""

import argparse
import itertools
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import torch

from made_exams import KINDS, make_exam, make_kind
from roundelay.data.formats.nifti import find_patients
from roundelay.data.image_settings import settings_of
from roundelay.data.opening import open_patients, training_slices
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import preprocessing_of
from roundelay.data.slice_cache import SliceCache, kept_in
from roundelay.learning.augment import Augmentation
from roundelay.learning.draws import batches
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.inputs import Batch, prepared
from roundelay.learning.machine import Machine, find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import Adam
from roundelay.plan.itinerary import Stop
from roundelay.study.file import parse_study
from roundelay.study.study import Study

RESULTS = Path(__file__).parent / "results" / "many_exams.json"
BATCH, MIB = 8, 2**20
STUDY = """
name = "many exams"
[data]
root = "."
format = "nifti"
channels = ["t1ce", "t1", "t2", "flair"]
crop = "brain"
size = 160
split = { validation = 0.0, test = 0.0 }
[data.labels]
whole = [1, 2, 4]
core = [1, 4]
enhancing = [4]
[model]
encoder = "resnet18"
"""


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


class Memory:
    """The most that this process has of its own, in bytes: mapped files, which any other may push
    out, not counted. Linux alone says so."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def now(self) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        own = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
        self.peak = max(self.peak, own)
        return own

    def _watch(self) -> None:
        while True:
            self.now()
            time.sleep(0.1)


def drawn(
    patients: tuple[Patient, ...], study: Study, cache: SliceCache, *, count: int, seed: int
) -> Iterator[Batch]:
    """So many batches of slices, varied as in training; of 0 one pass over all, as kept."""
    slices = training_slices(patients, study.data)
    steps = count or -(-len(slices) // BATCH)
    visits = count * BATCH or len(slices)
    draws = batches(
        slices, [False] * len(slices), visits=visits, steps=steps, positive_share=None, seed=seed
    )
    generator = torch.Generator().manual_seed(seed)
    varied = Augmentation() if count else None
    yield from prepared(draws, patients, cache, varied, generator)


def read(given: Iterator[Batch]) -> None:
    for _ in given:
        pass


def train(study: Study, machine: Machine, given: Iterator[Batch], steps: int) -> float:
    """Slices a second of training on these batches."""
    model = machine.place(build_network(*study.network, seed=0))
    stop = Stop("cwt", 0, 0, 1, "A", "train", (("A", 1),), steps * BATCH, steps, 0, steps)
    optimiser = Adam(study.recipe, model)
    seconds = timed(
        lambda: fit(
            model, optimiser, given, stop=stop, recipe=study.recipe, machine=machine, hooks=Hooks()
        )
    )
    return steps * BATCH / seconds


def expect(place: Path, study: Study, exams: int, making: float) -> None:
    """Say what so many exams will take, by what one takes. Raises SystemExit without the room."""
    (found,) = find_patients(place / "exams", settings_of(study.data)).patients
    opened: list[Patient] = []
    opening = timed(lambda: opened.extend(open_patients([found], study.data)))
    kept = place / "first"
    kept.mkdir()
    cache = SliceCache(preprocessing_of(study.data), kept)
    cutting = timed(lambda: cache.geometry(opened[0]))
    drawing = timed(lambda: read(drawn(tuple(opened), study, cache, count=0, seed=0)))
    own = sum(path.lstat().st_size for path in found.images)
    room = exams * (own + kept_in(kept)[1])
    free = shutil.disk_usage(place).free
    seconds = exams * (making + opening + cutting + 2 * drawing)
    print(
        f"{exams} exams: about {seconds / 60:.0f} min (making {making:.2f} s each, opening"
        f" {opening:.2f}, cutting {cutting:.2f}, an epoch {drawing:.2f}) and then training;"
        f" {room / 1e9:.1f} GB of {free / 1e9:.0f} GB free in {place}, of it"
        f" {exams * kept_in(kept)[1] / 1e9:.1f} GB of cache.",
        flush=True,
    )
    if room > 0.9 * free:
        raise SystemExit("Not enough room: give another --folder, or fewer --exams.")
    shutil.rmtree(kept)


def make_all(place: Path, study: Study, exams: int) -> None:
    own = [make_kind(place / "kinds", seed) for seed in range(KINDS)]
    expect(place, study, exams, timed(lambda: make_exam(place, 0, own)))
    for number in range(1, exams):
        make_exam(place, number, own)


def measured(place: Path, exams: int, steps: int) -> dict[str, object]:
    study = parse_study(STUDY, where="the benchmark", folder=place)
    machine, memory = find_machine("auto"), Memory()
    make_all(place, study, exams)
    train(study, machine, itertools.repeat(batch_in_memory(study), 3), 3)
    memory.peak, alone = 0, memory.now()
    opened: list[Patient] = []
    found = find_patients(place / "exams", settings_of(study.data)).patients
    opening = timed(lambda: opened.extend(open_patients(found, study.data)))
    print(f"opened: {opening:.0f} s", flush=True)
    patients, kept = tuple(opened), place / "slices"
    kept.mkdir()
    epochs: list[float] = []
    for _ in range(2):
        cache = SliceCache(preprocessing_of(study.data), kept)
        batches_of_all = drawn(patients, study, cache, count=0, seed=len(epochs))
        epochs.append(timed(partial(read, batches_of_all)))
        print(f"epoch {len(epochs)}: {epochs[-1]:.0f} s", flush=True)
    few, in_memory = patients[:KINDS], SliceCache(preprocessing_of(study.data), None)
    for patient in few:
        in_memory.geometry(patient)
    rates: dict[str, list[float]] = {"memory": [], "cache": []}
    for turn in range(3):
        given = drawn(few, study, in_memory, count=steps, seed=turn)
        rates["memory"].append(train(study, machine, given, steps))
        given = drawn(patients, study, cache, count=steps, seed=turn)
        rates["cache"].append(train(study, machine, given, steps))
    pairs = zip(rates["cache"], rates["memory"], strict=True)
    return {
        "exams": exams,
        "slices": len(training_slices(patients, study.data)),
        "opened_seconds": round(opening, 1),
        "first_epoch_seconds_without_training": round(epochs[0], 1),
        "second_epoch_seconds_without_training": round(epochs[1], 1),
        "cache_bytes": kept_in(kept)[1],
        "own_memory_of_training_alone_mib": round(alone / MIB),
        "own_memory_peak_mib": round(memory.peak / MIB),
        "slices_a_second_from_exams_in_memory": [round(r, 2) for r in rates["memory"]],
        "slices_a_second_from_the_cache": [round(r, 2) for r in rates["cache"]],
        "share_of_speed_from_memory": round(median(a / b for a, b in pairs), 3),
        "machine": str(machine),
    }


def batch_in_memory(study: Study) -> Batch:
    size = study.data.size
    channels, regions = len(study.data.channel_names), len(study.data.regions)
    return torch.zeros(BATCH, channels, size, size), torch.zeros(BATCH, regions, size, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--exams", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where exams and cache are made and removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        row = measured(Path(folder).resolve(), given.exams, given.batches)
    print(json.dumps(row, indent=1))
    RESULTS.write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
