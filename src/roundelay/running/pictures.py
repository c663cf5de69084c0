"""Pictures of single patients for the report, where the images are at hand: chosen by rule.

Of each hospital the test patient with the best, the median and the worst Dice of one arm, each at
the slice with most tumour. They stay in the run folder, which must be kept as safely as the images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundelay.data.formats.known import read_volume
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import geometry_of
from roundelay.evaluation.scores import PatientScore
from roundelay.files.writing import write_bytes, write_json
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import predict
from roundelay.records.layout import MODEL, SAMPLES, arm_folder
from roundelay.report.greys import grey_of, shown_channel
from roundelay.report.overlays import draw_panels, png
from roundelay.site.cohort import open_sites
from roundelay.study.names import file_name
from roundelay.study.study import Study


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


def pictures_or_say(
    study: Study, out: Path, label: str, scores: Sequence[PatientScore], machine: Machine
) -> str:
    """Draw the chosen patients; why they couldn't be drawn, or nothing."""
    try:
        write_samples(study, out, label, scores, machine)
    except Exception as error:  # a picture must not lose a finished training
        return f"The pictures of patients could not be drawn ({type(error).__name__}: {error})."
    return ""


def write_samples(
    study: Study, out: Path, label: str, scores: Sequence[PatientScore], machine: Machine
) -> None:
    """Draw the chosen patients of one arm into ``samples/``, with a list of what they show."""
    network, settings, _ = read_model(arm_folder(out, label) / MODEL)
    network = machine.place_to_predict(network)
    patients: dict[str, Patient] = {p.id: p for own in open_sites(study).values() for p in own}
    rows: list[Mapping[str, Any]] = []
    for rank, score in choose(scores):
        patient = patients[score.patient]
        volume = read_volume(patient)
        marked, reference = predict(network, volume, settings, machine), volume.reference
        main = reference[0] if reference[0].any() else marked[0]
        at = int(main.sum(axis=(1, 2)).argmax())
        name = f"{file_name(f'{score.site}-{rank}')}.png"
        box = geometry_of(volume, replace(settings.preprocessing, crop="brain", spacing=None)).box
        grey = grey_of(volume, shown_channel(settings.images.channels)).slices[at]
        names = settings.images.region_names
        picture = draw_panels(grey, reference[:, at], marked[:, at], box, names=names)
        write_bytes(out / "samples" / name, png(picture))
        rows.append(
            {
                "file": name,
                "arm": label,
                "site": score.site,
                "rank": rank,
                "patient": score.patient,
                "dice": score.dice,
                "slice": at + 1,
                "slices": len(main),
            }
        )
    write_json(out / SAMPLES, rows)
