"""What is seen in a folder of DICOM: which series are which channels, references, labels, sites."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from roundelay.data.formats.dicom_channels import channel_of
from roundelay.data.formats.dicom_header import Header
from roundelay.data.formats.dicom_labels import labels_met, regions_of_labels
from roundelay.data.formats.dicom_search import holds_dicom
from roundelay.data.formats.dicom_study import Exam, exams_in, named_exams, reference_path
from roundelay.data.formats.nifti_names import FAMILIES
from roundelay.data.formats.seen import Seen, in_nearly_all
from roundelay.data.formats.sites_seen import sites_of
from roundelay.data.left_out import refuse
from roundelay.errors import DataError

SHOWN = 12

NAMELESS = "a series without description"

PRIVATE = (
    "Here stand texts from headers: see whether a person's name is among them before you give this"
    " file on."
)


def seen_in(root: Path) -> Seen | None:
    """None where a folder holds no DICOM. Raises DataError, MissingExtraError.

    Of all files headers alone are read, and a few masks where those are NIfTI.
    """
    if not holds_dicom(root):
        return None
    exams, _, faults = exams_in(root)
    named = list(named_exams(exams, faults))
    refuse(faults)
    if not exams:
        raise DataError(f"{root} holds DICOM files, but no series. Give the folder of the images.")
    channels, about_channels = _channels(exams)
    references, about_references = _references(root, exams, channels)
    met = labels_met(references)
    labels, why = regions_of_labels(met)
    persons: set[str] = {exam.patient for exam in exams}
    names: set[str] = {text for _, name, folder in named for text in (name, folder)}
    sites, about_sites = sites_of([root], names, persons, 0)
    return Seen(
        "dicom",
        f"{len(exams)} exams of {len(persons)} patients as DICOM.",
        channels,
        labels,
        sites=sites,
        notes={
            "channels": [*about_channels, PRIVATE],
            "sites": about_sites,
            "labels": [*met.sentences(), *about_references, why],
        },
    )


def _channels(exams: Sequence[Exam]) -> tuple[tuple[str, ...], list[str]]:
    """Those that are one series in each exam, and what to say of all series.

    Raises DataError where there are none.
    """
    found = [_by_channel(exam) for exam in exams]
    having = {name: sum(len(own.get(name, ())) == 1 for own in found) for name in FAMILIES}
    chosen = tuple(name for name in FAMILIES if in_nearly_all(having[name], len(found)))
    met = [_met(name, found) for name in FAMILIES if any(name in own for own in found)]
    met += [_met("", found)] if any("" in own for own in found) else []
    unclear = [text for name in FAMILIES if name not in chosen and (text := _unclear(name, found))]
    if not chosen:
        raise DataError(
            f"No channel is one series in each of {len(exams)} exams. "
            + " ".join([*met, *unclear])
            + " Write the study by hand: docs/how-to/use-your-data.md."
        )
    return chosen, [
        f"One series each in all {len(exams)} exams, or nearly all, by its description.",
        *met,
        *unclear,
    ]


def _by_channel(exam: Exam) -> dict[str, list[str]]:
    """Descriptions by the channel that they are taken for, empty for none."""
    found: dict[str, list[str]] = {}
    for headers in exam.series.values():
        text = headers[0].description
        found.setdefault(channel_of(text) or "", []).append(repr(text) if text else NAMELESS)
    return found


def _met(name: str, found: Sequence[Mapping[str, Sequence[str]]]) -> str:
    counts = Counter(text for own in found for text in sorted({*own.get(name, ())}))
    listed = ", ".join(f"{text} ({count} exams)" for text, count in counts.most_common(SHOWN))
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    return f"Taken for {name or 'no channel'}: {listed}{more}."


def _unclear(name: str, found: Sequence[Mapping[str, Sequence[str]]]) -> str:
    """Why a channel that some exams have isn't chosen."""
    several = [own[name] for own in found if len(own.get(name, ())) > 1]
    having = sum(name in own for own in found)
    if several:
        return (
            f"{len(several)} exams have several series that could be {name}, such as"
            f" {several[0][0]} and {several[0][1]}. To use it, name it here, and below the one that"
            f' is meant by its description: channels = {{ {name} = "AX T1*" }}.'
        )
    if 0 < having < len(found):
        return (
            f"Not in all: {name} ({having} exams). To use it all the same, name it here and say"
            " below what stands in its place where it is missing."
        )
    return ""


def _references(
    root: Path, exams: Sequence[Exam], channels: Sequence[str]
) -> tuple[list[Header | Path], list[str]]:
    """One of each exam that has one, and what to say of the others.

    Raises DataError where no exam has any.
    """
    found: list[Header | Path] = []
    without: list[str] = []
    several: list[str] = []
    for exam in exams:
        uids = [
            uid for uid, own in exam.series.items() if channel_of(own[0].description) in channels
        ]
        try:
            reference = reference_path(exam, uids)
        except DataError as error:
            several += error.faults
            continue
        if reference is None:
            without.append(exam.folder)
        else:
            found.append(reference)
    if not found and not several:
        raise DataError(
            f"{root} holds {len(exams)} exams as DICOM, with the channels {', '.join(channels)},"
            " but no reference: no DICOM SEG or RTSTRUCT, no NIfTI mask (<name>_seg.nii.gz) beside"
            " a series. Nothing can be trained or scored on them. Put references there and try"
            " again; masks by a model need none (roundelay predict)."
        )
    said = [f"{len(without)} exams have no reference, such as {without[0]}."] if without else []
    return found, [*said, *several[:1]]
