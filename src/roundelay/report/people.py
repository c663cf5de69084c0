"""The sections on patients: each as a point, samples as pictures, and groups of them."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from roundelay.evaluation.fairness import ATTRIBUTES, SEQUENCES, Group, gap
from roundelay.records.contents import Run
from roundelay.records.samples import read_picture
from roundelay.report import figures
from roundelay.report.blocks import (
    Block,
    Figure,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    cells,
)  # fmt: skip
from roundelay.report.by_sequence import sequences_blocks
from roundelay.report.crowds import is_crowd
from roundelay.report.greys import shown_channel


def patients_section(run: Run) -> Section:
    """Every patient as a point."""
    if not run.by_patient:
        text = (
            "Each hospital gave one row for all its patients, and nothing by patient: means and"
            " counts are exact, but there is no median, no interval over patients and no"
            " comparison of methods by patient. A hospital's policy may allow scores by patient,"
            " under numbers."
        )
        return Section("patients", "Patient by patient", [Text(text)])
    strips = figures.draw_patients(run)
    blocks: list[Block] = []
    if strips:
        blocks.append(
            Figure(
                "patients",
                strips,
                f"Dice of every {run.split} patient by hospital and method, the mean over seeds;"
                f" {'a line along' if is_crowd(_hospitals(run)) else 'a bar at'} each hospital's"
                " mean. local: the hospital's own model.",
            )
        )
    return Section("patients", "Patient by patient", blocks)


def _hospitals(run: Run) -> int:
    return len({score.site for one in run.judgement.methods for score in one.scores})


def samples_section(run: Run) -> Section:
    """MRI, reference, prediction and both contours."""
    if not run.samples:
        return Section("samples", "Sample outputs", [])
    channels = run.study.data.channel_names
    channel = channels[shown_channel(channels)]
    channel = channel.upper() if channel == "flair" else channel
    pictures = []
    for row in run.samples:
        data = read_picture(run.folder, row["file"])
        title = f"{row['site']}, {row['rank']}: {row['patient']}, {_dice(run, row)}"
        pictures.append(
            Picture(
                "data:image/png;base64," + b64encode(data).decode(),
                f"{channel} slice, reference, prediction and both contours of the {row['rank']}"
                f" patient of {row['site']}, {_dice(run, row)}",
                f"{title}, slice {row['slice']} of {row['slices']}",
            )
        )
    arm = run.samples[0]["arm"]
    text = (
        f"Of each hospital the {run.split} patient with the best, the median and the worst Dice of"
        f" {arm}, at the slice with most tumour. From left: {channel}; {_panels(run)}"
        f" {_sides(run)} These pictures are patients' images: keep this page as safely."
    )
    if run.synthetic:
        text = text[: text.rindex(" These")]
    return Section("samples", "Sample outputs", [Text(text), Pictures(pictures)])


def _sides(run: Run) -> str:
    """Which side of a picture is the patient's right, as far as the files say."""
    if run.study.data.is_lgg:
        return "The files don't say which side is the patient's right."
    return "In axial and coronal slices the patient's right is on the left."


def _panels(run: Run) -> str:
    """What the second, third and fourth picture of a row show."""
    names = tuple(run.study.data.regions)
    if len(names) < 2:
        return "reference in blue; prediction in orange; both contours."
    return (
        f"reference and prediction by region, in the colours below; all contours, the reference's"
        f" in blue and the prediction's in orange. Best and worst are by {names[0]}."
    )


def _dice(run: Run, row: Mapping[str, Any]) -> str:
    """Dice of a picture's patient, by region where there are several."""
    names = tuple(run.study.data.regions)
    arm = next((arm for arm in run.arms if arm.label == row["arm"]), None)
    own = (one for one in arm.scores if one.patient == row["patient"]) if arm else iter(())
    score = next(own, None)
    if len(names) < 2 or score is None or not score.regions:
        return f"Dice {row['dice']:.3f}"
    others = [f"{name} {one.dice:.3f}" for name, one in score.regions.items()]
    return f"Dice {', '.join([f'{names[0]} {score.dice:.3f}', *others])}"


def fairness_section(run: Run) -> Section:
    """For whom the first method works."""
    if not run.judgement.methods:
        return Section("fairness", "For whom it works", [])
    first, found = run.judgement.methods[0].method, run.judgement.groups
    kinds = list(dict.fromkeys(group.kind for group in found))
    rows = [
        cells(
            f"{group.kind}: {group.name}",
            f"{group.patients}{' (few)' if group.small else ''}",
            f"{group.mean:.3f}",
            f"{group.interval.low:.3f}–{group.interval.high:.3f}" if group.interval else "–",
        )
        for group in found
        if group.kind != SEQUENCES
    ]
    blocks: list[Block] = [
        Table(
            f"Dice of {first} by group",
            ["group", "patients", "mean Dice", "95 %"],
            rows,
        )
    ]
    if distance := gap(found):
        blocks.insert(
            0,
            Text(f"Best at {_told(distance.best)}, worst at {_told(distance.worst)}: a gap of"
                 f" {distance.size:.3f}.{_alone(found)}"),
        )  # fmt: skip
    missing = [kind for kind in ("sex", "age", "grade") if kind not in kinds]
    text = (
        "Few: fewer than 5 patients, one of whom moves the mean far; they have no interval. No"
        " group was used to tune."
    )
    if missing:
        text += f" The cohort says nothing of its patients' {' or '.join(missing)}."
    text += _partly_known(found)
    blocks += [Text(text, soft=True), *sequences_blocks(run)]
    return Section("fairness", "For whom it works", blocks)


def _partly_known(found: Sequence[Group]) -> str:
    """Of how many patients the cohort doesn't say what it says of others."""
    known = {
        kind: sum(group.patients for group in found if group.kind == kind)
        for kind in ("hospital", *ATTRIBUTES)
    }
    every = known.pop("hospital")
    some = [f"{kind} of {every - count}" for kind, count in known.items() if 0 < count < every]
    return f" Not known: the {', the '.join(some)} of {every} patients." if some else ""


def _told(group: Group) -> str:
    return f"{group.name} ({group.mean:.3f}, {group.patients} patients)"


def _alone(found: Sequence[Group]) -> str:
    names = [group.name for group in found if group.kind == "hospital" and group.patients == 1]
    if is_crowd(len(names)):
        return f" {len(names)} hospitals of one patient are neither."
    return f" Hospitals of one patient are neither: {', '.join(names)}." if names else ""
