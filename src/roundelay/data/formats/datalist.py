"""Lists of exams as MONAI writes them: one JSON file, or one a site in a folder.

``{"training": [{"image": FILE or [FILE, ...], "label": FILE, "fold": N}], "validation": [...],
"testing": [...]}``. Lists name no channels: images stand in the order of the study's channels.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from roundelay.data.formats.channel_choice import NUMBER
from roundelay.data.formats.datalist_json import count_of, entries_of, is_list
from roundelay.data.formats.datalist_splits import Met, exams_of
from roundelay.data.formats.dataset_json import channels_of, labels_of
from roundelay.data.formats.described import Described, as_channels, as_regions
from roundelay.data.formats.json_file import read_json_file
from roundelay.data.formats.listed_exam import left_out, patients_of
from roundelay.data.formats.listing import list_folder
from roundelay.data.formats.nifti_exam import mask_files, mask_names, read_exam
from roundelay.data.formats.nifti_names import person_of
from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.left_out import Found, counted, names_of, refuse, shown, together
from roundelay.data.tables import read_attributes
from roundelay.errors import DataError
from roundelay.study.names import SiteName

__all__ = [
    "ATTRIBUTES", "FOLDER_EACH", "channels_and_labels", "find_patients", "looks_like", "mask_files",
    "mask_names", "masks_in", "read_volume",
]  # fmt: skip

ATTRIBUTES = "data.csv"

FOLDER_EACH = False

OTHERS = "JSON files that are no lists of exams, not read"

read_volume = read_exam


def find_patients(
    root: Path, settings: ImageSettings = LGG_SETTINGS, *, masks: bool = True
) -> Found:
    """All exams of the lists; headers alone are opened. With `masks` those that have one, in the
    splits that the lists say. Raises DataError naming every faulty entry."""
    files, others = _lists(root)
    skipped: Met = [(OTHERS, path.name) for path in others]
    lists = [entries_of(path, values, len(settings.channels)) for path, values in files]
    faults = [fault for one in lists for fault in one.faults]
    if any(one.found for one in lists):
        skipped += (bad := left_out(faults, settings))
        faults = [] if bad else faults
    refuse(faults)
    sites = [_site(path, len(files)) for path, _ in files]
    exams, met = exams_of(lists, sites, settings.fold, masks)
    if not exams:
        lacks = ' that has a label, as in "label": FILE' if masks else ""
        raise DataError(f"{root} lists no exam{lacks}.")
    attributes = read_attributes(files[0][0].parent / ATTRIBUTES)
    numbers = {own: _numbers(own) for own in {exam.settings(settings) for exam in exams}}
    found = patients_of(exams, numbers, settings, "datalist", attributes)
    kept = {exam.name for exam in exams}
    unused = {(e.name, e.subject) for one in lists for e in one.found if e.name not in kept}
    unused |= {pair for one in lists for pair in one.unused}
    names = names_of((name, who or person_of(name)) for name, who in unused)
    left = together((*counted([*skipped, *met]), *found.left_out))
    return Found(found.patients, left, names | found.unused)


def looks_like(root: Path) -> bool:
    """Whether `root` is such a list, or a folder that holds some; faults are not looked for."""
    try:
        return bool(_lists(root))
    except DataError:
        return False


def channels_and_labels(root: Path) -> Described:
    """How many channels the first exam has; names, and labels, where the file gives them as MSD's
    does (``modality``, ``labels``). Raises DataError."""
    path, values = _lists(root)[0][0]
    count = count_of(path, values)
    channels = _named(channels_of, path, values, "modality")
    regions = as_regions(_named(labels_of, path, values, True) or {})
    return Described(count, as_channels(channels) if len(channels) == count else (), regions)


def masks_in(root: Path) -> list[Path]:
    """The masks that the lists name, of entries that are right. Raises DataError."""
    lists = [entries_of(path, values, 0) for path, values in _lists(root)[0]]
    return [entry.mask for one in lists for entry in one.found if entry.mask]


def _named(read: Callable[..., Any], path: Path, values: dict[str, Any], how: Any) -> Any:
    """What a list may say, and needn't."""
    try:
        return read(path, values, how)
    except DataError:
        return ()


def _numbers(settings: ImageSettings) -> dict[str, int]:
    """At which place of an entry each of the study's channels stands. Raises DataError."""
    named, count = dict(settings.named), len(settings.channels)
    for channel, here in named.items():
        if not NUMBER.fullmatch(here) or int(here) >= count:
            raise DataError(
                f"A site calls the channel {channel} {shown(here)!r}. A list names no channels: say"
                f' at which place it stands, from "0000" to "{count - 1:04}".'
            )
    numbers = {c: int(named.get(c, place)) for place, c in enumerate(settings.channels)}
    if twice := [c for c, n in numbers.items() if list(numbers.values()).count(n) > 1]:
        raise DataError(
            f"A site says that {' and '.join(twice)} stand at one place of its list: name the place"
            " of each channel that stands elsewhere than in the study."
        )
    return numbers


def _lists(root: Path) -> tuple[list[tuple[Path, dict[str, Any]]], list[Path]]:
    """The files that are lists of exams, with their values, and JSON files that are not."""
    if root.is_file():
        files, single = [root], True
    elif root.is_dir():
        files, single = [p for p in list_folder(root).files if p.suffix.lower() == ".json"], False
    else:
        raise DataError(f"There is no {root}. Give the JSON file that lists the exams.")
    found, others = [], []
    for path in files:
        values = read_json_file(path)
        if is_list(values):
            found.append((path, values))
        else:
            others.append(path)
    if not found:
        what = f"{root} is no list of exams" if single else f"{root} holds no list of exams"
        raise DataError(
            f'{what}: a JSON file such as {{"training": [{{"image": ..., "label": ...}}]}}.'
        )
    return found, others


def _site(path: Path, count: int) -> SiteName | None:
    """Of several lists each is a site's. Raises DataError."""
    if count == 1:
        return None
    try:
        return SiteName(path.stem)
    except ValueError as error:
        raise DataError(f"{path} is no site's list: the name {error}. Rename it.") from error
