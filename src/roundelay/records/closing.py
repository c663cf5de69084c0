"""The last lines of a run: the digests of what people quote, of each arm and of the whole.

An arm's ledger ends in a line that names the arm's files. `closing.json` ends the run: the head of
every arm's ledger, and the files that stand beside the arms. So one digest, the run's head, vouches
for all of them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from roundelay.errors import LedgerError
from roundelay.files.canonical import digest_of
from roundelay.files.reading import parse_json
from roundelay.files.regular import file_digest, plain_bytes
from roundelay.files.writing import write_json
from roundelay.records.arm import CURVE, VALIDATIONS
from roundelay.records.layout import (
    ARMS,
    CLOSING,
    FIGURES,
    LOG,
    METRICS,
    MODEL,
    PATIENTS,
    RECORD,
    REPORT,
    SAMPLES,
    SCORES,
    SEALED_MODEL,
    STAYING,
    STUDY,
    SUMMARY,
)
from roundelay.records.thresholds import THRESHOLDS
from roundelay.relay.ledger import Ledger

ALWAYS = (SCORES, CURVE)
OF_THE_RUN = (STUDY, RECORD, PATIENTS, SUMMARY)
UNCLOSED = (REPORT, FIGURES, STAYING, LOG, METRICS)
"""What a run leaves behind without a digest: drawn or told from the rest, or of the sites' own."""


def arm_files(place: Path) -> list[str]:
    """The files of a finished arm that its ledger's last line names."""
    model = SEALED_MODEL if (place / SEALED_MODEL).exists() else MODEL
    beside = [name for name in (VALIDATIONS, THRESHOLDS) if (place / name).exists()]
    return sorted([model, *ALWAYS, *beside])


def all_written(place: Path) -> bool:
    """Whether an arm has every file that its ledger's last line names."""
    return all((place / name).exists() for name in arm_files(place))


def close_arm(place: Path, ledger: Ledger) -> None:
    """Write the last line of an arm's ledger; nothing where it stands there."""
    if ledger.closing is None:
        ledger.close({name: file_digest(place / name) for name in arm_files(place)})


def run_files(out: Path) -> list[str]:
    """The files beside the arms that end a run, with the pictures that it has."""
    pictures = sorted(p for p in (out / SAMPLES.parent).glob("*") if p.is_file())
    return [*OF_THE_RUN, *(p.relative_to(out).as_posix() for p in pictures)]


def close_run(out: Path, heads: Mapping[str, str]) -> None:
    """Write closing.json, the last file of a run; `heads` are those of the arms' ledgers."""
    files = {name: file_digest(out / name) for name in run_files(out)}
    values = {"heads": dict(heads), "files": files}
    write_json(out / CLOSING, {**values, "digest": digest_of(values)})


def read_closing(out: Path) -> dict[str, Any]:
    """closing.json, whose own digest holds. Raises LedgerError."""
    path = out / CLOSING
    try:
        values = parse_json(plain_bytes(path))
        rest = {key: values[key] for key in ("heads", "files")}
        found, stated = digest_of(rest), values["digest"]
        texts = [t for part in rest.values() for pair in part.items() for t in pair]
    except OSError as error:
        raise LedgerError(f"{path} can't be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(f"{path} holds what no run's last line holds.") from error
    if found != stated or len(values) != 3 or not all(isinstance(text, str) for text in texts):
        raise LedgerError(f"{path} was changed: its values do not give its digest.")
    return {**rest, "digest": found}


def head_of_run(out: Path) -> str | None:
    """The digest that vouches for a finished run; None where it isn't finished, an older version
    ended it, or closing.json isn't what it was."""
    try:
        return str(read_closing(out)["digest"]) if (out / CLOSING).exists() else None
    except LedgerError:
        return None


def refuse_changed_end(out: Path) -> None:
    """Raise LedgerError where a file beside the arms of a finished run is another one by now."""
    if not (out / CLOSING).exists():  # an older version ended it
        return
    for name, digest in read_closing(out)["files"].items():
        path = out / name
        if name in OF_THE_RUN and (
            path.is_dir() or (path.exists() and file_digest(path) != digest)
        ):
            raise LedgerError(
                f"{path} was changed since the run ended. Put it back from a copy held elsewhere;"
                " removed, summary.json is written again by --resume."
            )


def refuse_strangers(folder: Path, known: Iterable[str]) -> None:
    """Raise LedgerError for what lies in a folder and was not written there: somebody may take it
    for what was."""
    names = {*known}
    for path in sorted(folder.iterdir()):
        if path.name not in names and not path.name.startswith("."):
            raise LedgerError(f"{path} is no part of the run: it was added. Move it elsewhere.")


def refuse_strangers_in_run(out: Path) -> None:
    """As `refuse_strangers`, of what stands beside the arms and the pictures."""
    refuse_strangers(out, {*OF_THE_RUN, CLOSING, ARMS, SAMPLES.parent.name, *UNCLOSED})
    named = {Path(name).name for name in run_files(out)}
    if (out / SAMPLES.parent).exists():
        refuse_strangers(out / SAMPLES.parent, named)


def refuse_other_files(folder: Path, named: Mapping[str, str], expected: Iterable[str]) -> None:
    """Raise LedgerError unless these files, and no others, are as their digests say."""
    wanted = set(expected)
    if more := sorted(set(named) ^ wanted):
        where = "named, but not there" if more[0] in named else "there, but not named"
        raise LedgerError(f"{folder / more[0]} is {where}.")
    for name in sorted(wanted):
        path = folder / name
        if not path.is_file():
            raise LedgerError(f"{path} is missing.")
        if (found := file_digest(path)) != named[name]:
            raise LedgerError(
                f"{path} was altered: its digest is {found[:12]} now, {named[name][:12]} was noted."
            )
