"""A folder to write into: looked at before the work begins, and before anything is written."""

import os
from pathlib import Path

from roundelay.errors import MachineError, RunFolderError

OF_A_RUN = ("run.json", "study.toml")
"""What every folder of a run holds."""


def refuse_place(out: Path, *, images: Path | str = "") -> None:
    """Raise RunFolderError or MachineError where `out` can't become, or be, a folder of ours.

    It may not lie in the folder of the `images`, which is searched for patients, nor in that of a
    run, which would no longer verify.
    """
    if out.is_symlink() and not out.exists():
        raise RunFolderError(
            f"{out} is a link to {out.readlink()}, which isn't there. Choose another --out."
        )
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file. Choose a folder: another --out.")
    above = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not above.is_dir():
        raise RunFolderError(f"{out}: {above} is a file, so no folder can lie in it."
                             " Choose another --out.")  # fmt: skip
    if not os.access(above, os.W_OK | os.X_OK):
        raise MachineError(
            f"{out} can't be written: {above} is closed to you. Choose another --out."
        )
    for run in out.resolve().parents:
        if all((run / name).is_file() for name in OF_A_RUN):
            raise RunFolderError(
                f"{out} lies in the folder of a run ({run}), which wouldn't verify with more in it."
                " Choose another --out."
            )
    searched = Path(images).resolve() if str(images) else None
    place = out.resolve()
    if searched is not None and (place == searched or searched in place.parents):
        raise RunFolderError(
            f"{out} lies in the folder of the images ({searched}), where it would be searched for"
            " patients. Choose another --out."
        )
