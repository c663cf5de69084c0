"""A folder over several runs: the folds of a study, or its hospitals left out in turn."""

from contextlib import suppress
from pathlib import Path
from typing import Literal

from roundelay.errors import RunFolderError
from roundelay.files.places import refuse_place
from roundelay.records.layout import RECORD, REPORT, SUMMARY, study_of
from roundelay.study.names import file_name
from roundelay.study.study import Study

Kind = Literal["folds", "hospitals left out in turn"]
FOLDS: Kind = "folds"
LEFT_OUT: Kind = "hospitals left out in turn"

OVER = (SUMMARY, REPORT)
"""What a folder over several runs holds once the first of them is finished."""


def kind_of(study: Study) -> Kind | None:
    """Of what several runs one of this study is; None where it stands alone."""
    if study.data.test_fold is not None:
        return FOLDS
    return LEFT_OUT if study.evaluation.leave_out is not None else None


def refuse_other_kind(out: Path, kind: Kind) -> None:
    """Raise RunFolderError where `out` is a run, or holds runs that are none of `kind`."""
    if (out / RECORD).exists():
        raise RunFolderError(
            f"{out} is a single run, and no folder for runs of {kind}. Choose another --out."
        )
    for record in sorted(out.glob(f"*/{RECORD}")):
        if (found := kind_of(study_of(record.parent))) != kind:
            raise RunFolderError(
                f"{out} holds {found or 'runs'} ({record.parent.name}), and this would be {kind}."
                " Choose another --out."
            )


def kind_over(folder: Path) -> Kind | None:
    """The runs that a folder is over, from the first of them on; None for any other folder."""
    if (folder / RECORD).exists() or not any((folder / name).exists() for name in OVER):
        return None
    return next(filter(None, map(_kind_in_place, folder.glob(f"*/{RECORD}"))), None)


def _kind_in_place(record: Path) -> Kind | None:
    """None for a run that lies elsewhere than one of several does, or can't be read: others' files
    may be called so."""
    with suppress(RunFolderError):
        study = study_of(record.parent)
        fold, site = study.data.test_fold, study.evaluation.leave_out
        if record.parent.name in (f"fold-{fold}", file_name(site or "")):
            return kind_of(study)
    return None


def refuse_among_several(out: Path) -> None:
    """Raise RunFolderError where `out` lies in a folder over several runs, which would no longer
    verify."""
    for folder in out.resolve().parents:
        if found := kind_over(folder):
            raise RunFolderError(
                f"{out} lies in a folder of {found} ({folder}), which wouldn't verify with more in"
                " it. Choose another --out."
            )


def refuse_as_page(out: Path, *, images: Path | str) -> None:
    """Raise RunFolderError where no page over other runs may be written into `out`: a run has one
    of its own, and so has a folder of several."""
    refuse_place(out, images=images)
    refuse_among_several(out)
    if found := "one run" if (out / RECORD).exists() else kind_over(out):
        raise RunFolderError(f"{out} holds {found}, with a page of its own. Choose another --out.")
