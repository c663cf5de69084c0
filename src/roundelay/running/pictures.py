"""Pictures of single patients for the report, where the images are at hand: chosen by rule.

Of each hospital the test patient with the best, the median and the worst Dice of one arm, each at
the slice with most tumour. They stay in the run folder, which must be kept as safely as the images.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roundelay.data.preprocessing import geometry_of
from roundelay.data.volumes import read_images, read_masks
from roundelay.evaluation.scores import PatientScore
from roundelay.files.writing import write_bytes, write_json
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import predict
from roundelay.report.overlays import FLAIR, PREDICTION, REFERENCE, contour
from roundelay.site.cohort import open_sites
from roundelay.study.study import Study

SAMPLES = Path("samples", "samples.json")
"""The list of what the pictures show, within a run folder: written last."""

SIDE = 224  # pixels of a panel

GAP = 4


def choose(scores: Sequence[PatientScore]) -> list[tuple[str, PatientScore]]:
    """Best, median and worst patient of each hospital; one who is several is named once."""
    chosen = []
    for site in sorted({score.site for score in scores}):
        own = sorted((s for s in scores if s.site == site), key=lambda s: (-s.dice, s.patient))
        places = {0: "best", len(own) // 2: "median", len(own) - 1: "worst"}
        if len(own) < 3:
            places = {0: "best", len(own) - 1: "worst"} if len(own) == 2 else {0: "only"}
        chosen += [(rank, own[i]) for i, rank in sorted(places.items())]
    return chosen


def write_samples(
    study: Study, out: Path, label: str, scores: Sequence[PatientScore], machine: Machine
) -> None:
    """Draw the chosen patients of one arm into ``samples/``, with a list of what they show."""
    network, settings, _ = read_model(out / "arms" / label / "model.safetensors")
    network = machine.place(network)
    patients = {p.id: p for own in open_sites(study.data).values() for p in own}
    rows: list[Mapping[str, Any]] = []
    for rank, score in choose(scores):
        patient = patients[score.patient]
        images = read_images(patient)
        reference = read_masks(patient, images.shape[1:3])
        marked = predict(network, images, settings, machine)
        at = int((reference if reference.any() else marked).sum(axis=(1, 2)).argmax())
        box = geometry_of(images, replace(settings.preprocessing, crop="brain")).box
        name = f"{score.site}-{rank}.png"
        picture = draw_panels(images[at], reference[at], marked[at], box)
        write_bytes(out / "samples" / name, _png(picture))
        rows.append(
            {
                "file": name,
                "arm": label,
                "site": score.site,
                "rank": rank,
                "patient": score.patient,
                "dice": score.dice,
                "slice": at + 1,
                "slices": len(images),
            }
        )
    write_json(out / SAMPLES, rows)


def draw_panels(
    image: NDArray[np.uint8],
    reference: NDArray[np.bool_],
    marked: NDArray[np.bool_],
    box: tuple[int, int, int, int],
) -> NDArray[np.uint8]:
    """FLAIR, reference, prediction, and both contours on FLAIR, side by side ``[y, x, 3]``."""
    grey = np.repeat(image[..., FLAIR : FLAIR + 1], 3, axis=-1)
    plain = _panel(grey, box)
    panels = [plain]
    both = plain.copy()
    for mask, colour in ((reference, REFERENCE), (marked, PREDICTION)):
        shape = _panel(np.repeat(mask[..., None], 3, axis=-1).astype(np.uint8) * 255, box) > 127
        inside = shape[..., 0]
        panel = plain.copy()
        panel[inside] = (0.45 * panel[inside] + 0.55 * np.array(colour)).astype(np.uint8)
        panels.append(panel)
        both[contour(inside)] = colour
    return np.concatenate(_spaced([*panels, both]), axis=1)


def _spaced(panels: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    gap = np.zeros((SIDE, GAP, 3), np.uint8)
    return [piece for panel in panels for piece in (panel, gap)][:-1]


def _panel(picture: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    cropped = Image.fromarray(picture).crop(box)
    return np.asarray(cropped.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _png(picture: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
