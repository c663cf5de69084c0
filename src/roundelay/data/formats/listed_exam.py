"""An exam as a list of files names it, and the patient that it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from roundelay.data.formats.channel_choice import sources_of
from roundelay.data.formats.nifti import SITE
from roundelay.data.formats.nifti_exam import slices_of
from roundelay.data.formats.nifti_file import read_header
from roundelay.data.formats.nifti_names import person_of, site_of
from roundelay.data.image_settings import ImageSettings
from roundelay.data.left_out import BAD, Found, counted, names_of, refuse, shown
from roundelay.data.patients import DRAWN, Patient, Source
from roundelay.errors import DataError
from roundelay.study.names import PatientId, SiteName


@dataclass(frozen=True, slots=True)
class Exam:
    """A case: its channels by number, and its mask. `where` is what messages call it; `split`
    and `drawn` as a patient has them; `site` and `subject` are where its name says something else.
    """

    name: str
    where: str
    channels: Mapping[int, Source]
    mask: Path | None
    site: SiteName | None = None
    split: str | None = None
    drawn: tuple[str, ...] = DRAWN
    subject: str = ""

    def settings(self, study: ImageSettings) -> ImageSettings:
        """How it is read: as the study says, or the site at which it stands."""
        return study.at(self.name, self.person, self.place)

    @property
    def person(self) -> str:
        """Who was examined: as a list says it, or as public sets number them."""
        return self.subject or person_of(self.name)

    @property
    def place(self) -> SiteName:
        """Where patients stand whom no table places."""
        return self.site or SiteName(site_of(self.name) or SITE)


def volumes_in(path: Path) -> int:
    """How many volumes a file has, by its header. Raises DataError."""
    shape = read_header(path).shape
    return shape[3] if len(shape) > 3 else 1


def volumes_of(path: Path, count: int, where: str) -> dict[int, Source]:
    """All channels of an exam in one file, by number. Raises DataError where they are not as many
    as `count`."""
    shape = read_header(path).shape
    found = shape[3] if len(shape) > 3 else 1
    if len(shape) > 4 or found != count:
        size = " x ".join(map(str, shape))
        raise DataError(
            f"{where}: {path} is {size}: {found} channel{'s' * (found != 1)}, where {count}"
            f" {'are' if count != 1 else 'is'} expected."
        )
    if len(shape) == 3:
        return {0: Source(path)}
    return {number: Source(path, number) for number in range(count)}


def patients_of(
    exams: Sequence[Exam],
    numbers: Mapping[ImageSettings, Mapping[str, int]],
    study: ImageSettings,
    format: str,
    attributes: Mapping[str, Mapping[str, str]],
) -> Found:
    """The patients, their channels at the `numbers` that go with their settings; a header of each
    is opened. Faulty exams are left out where the study says so; otherwise raises DataError naming
    every one."""
    patients: list[Patient] = []
    faults: list[str] = []
    unused: list[Exam] = []
    for exam in exams:
        try:
            settings = exam.settings(study)
            channels = sources_of(numbers[settings], exam.channels, settings, exam.where)
            patient = _patient(exam, channels, settings, format)
            patients.append(replace(patient, attributes=attributes.get(patient.id, {})))
        except DataError as error:
            faults += error.faults
            unused.append(exam)
    met = left_out(faults, study) if patients else []
    refuse([*_twice(exams), *_parted(exams), *([] if met else faults)])
    names = names_of((exam.name, exam.person) for exam in unused)
    return Found(tuple(patients), counted(met), names)


def left_out(faults: Sequence[str], study: ImageSettings) -> list[tuple[str, str]]:
    """Exams that can't be used as what is said, where the study leaves such out."""
    if study.on_bad_exam != "leave-out":
        return []
    return [(BAD, fault.rstrip(".")) for fault in faults]


def _patient(
    exam: Exam, channels: tuple[Source | None, ...], settings: ImageSettings, format: str
) -> Patient:
    try:
        name = PatientId(exam.name)
    except ValueError as error:
        raise DataError(f"{exam.where}: the name of the case {error}. Rename it.") from error
    wanted = channels or exam.channels.values()  # all of them before a study is known
    found = Patient(
        id=name,
        site=exam.place,
        folder=name.file_name,
        images=tuple(dict.fromkeys(source.path for source in wanted if source)),
        masks=(exam.mask,) if exam.mask else (),
        slices=0,
        format=format,
        channels=channels,
        settings=settings,
        split=exam.split,
        drawn=exam.drawn,
        subject=exam.person,
    )
    leading = next(source for source in wanted if source)
    return replace(found, slices=slices_of(replace(found, channels=(leading,))))


def _twice(exams: Sequence[Exam]) -> list[str]:
    """A sentence for each case that stands twice: it could come to stand in two splits."""
    seen: dict[str, Exam] = {}
    return [
        f"{exam.where} and {seen[exam.name].where} are both the case {shown(exam.name)}: a leak"
        " between splits or sites, or two exams whose files are named alike. Keep one, or rename"
        " it."
        for exam in exams
        if seen.setdefault(exam.name, exam) is not exam
    ]


def _parted(exams: Sequence[Exam]) -> list[str]:
    """A sentence for each person whose exams the lists part: all of them stand in one split."""
    seen: dict[str, Exam] = {}
    faults: dict[str, str] = {}
    for exam in exams:
        first = seen.setdefault(exam.person, exam)
        if (first.split, first.drawn, first.place) != (exam.split, exam.drawn, exam.place):
            faults[exam.person] = (
                f"{first.where} and {exam.where} are exams of one subject, {shown(exam.person)},"
                " and stand in two splits or at two sites: a leak. Put them into one."
            )
    return list(faults.values())
