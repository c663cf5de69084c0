"""What is met while the exams of a folder are looked through, and what they lack, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from roundelay.data.formats.nifti_layouts import Exam
from roundelay.data.formats.nifti_names import tails
from roundelay.data.left_out import BAD

WITHOUT = "Exams without {}, left out"

NAMED = 100
"""Exams that one sentence names."""

REFERENCE = "mask"
"""What an exam lacks that has none."""


@dataclass(slots=True)
class Search:
    """`met` is what is said and stops nothing: reasons, each with a thing. `lacking` has the names
    of exams by what they lack, `faults` what else is wrong, in sentences."""

    met: list[tuple[str, str]]
    faults: list[str] = field(default_factory=list)
    lacking: dict[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Of what is wrong."""
        return len(self.faults) + sum(map(len, self.lacking.values()))

    def lacks(self, exam: str, what: str) -> None:
        """Note that an exam lacks something."""
        self.lacking.setdefault(what, []).append(exam)

    def leave_out(self) -> None:
        """What is wrong stops nothing: the exams are left out, and said."""
        for what, names in self.lacking.items():
            self.met += ((WITHOUT.format(what), name) for name in names)
        self.met += ((BAD, fault.rstrip(".")) for fault in self.faults)
        self.lacking, self.faults = {}, []

    def sentences(self, exams: Sequence[Exam]) -> list[str]:
        """All that is wrong: one for each thing that exams lack, which names them."""
        lacking = (
            f"{_who(names, len(exams))} no {what}{_listed(names)}."
            f" {_next(what, _endings(exams, names))}"
            for what, names in self.lacking.items()
        )
        return [*lacking, *self.faults]


def _endings(exams: Sequence[Exam], names: Sequence[str]) -> list[str]:
    """What the files of these exams are called behind the exams' own names."""
    some = {*names[:NAMED]}
    return sorted({tail for exam in exams if exam.name in some for tail in tails(exam.files)})


def _who(names: Sequence[str], all_: int) -> str:
    return f"{len(names)} of {all_} exams have" if len(names) > 1 else f"The exam {names[0]} has"


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f": {', '.join(names[:NAMED])}{more}"


def _next(what: str, met: Sequence[str]) -> str:
    if what == REFERENCE:
        return (
            "Training and scores need one in each exam, such as <exam>_seg.nii.gz: put it there,"
            ' move the exam to another folder, or say on_bad_exam = "leave-out" in [data]'
            " (to evaluate, --on-bad-exam leave-out)."
        )
    return (
        f"Files there end in {', '.join(met[:12]) or 'nothing known'}. Where a site lacks a channel"
        " or calls it otherwise, say so for that site: missing_channels, channels (predict and"
        " evaluate: --site FILE)."
    )
