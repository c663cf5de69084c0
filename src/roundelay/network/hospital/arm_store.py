"""What a hospital keeps of one arm of one run: its visits, their answers, the scores that it gave.

An answer is written once: it leaves from the file that stays, and the model that was handed over
last is opened from there.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from roundelay.errors import RefusedError
from roundelay.evaluation.scores import PatientScore
from roundelay.files.mapped import mapped
from roundelay.files.writing import write_bytes, write_json, write_pieces
from roundelay.network.hospital.store import RESTORE, RUNS
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.parsing import Digest
from roundelay.network.wire.sealed_baton import Opener
from roundelay.plan.arms import Arm

VISITS, ENDED, ANSWERS = "visits.json", "ended", "answers"

KEPT = 2
"""Answers kept for each arm: the last one may be asked for again, and the one before it by a run
that was restored from the day before."""

VISITED = TypeAdapter(dict[Annotated[str, Field(pattern="^[0-9]{1,9}$")], Digest])

HEAD = TypeAdapter(dict[str, Any])

OPENER = TypeAdapter(Opener)

REMOVE = (
    "it belongs to the model that this hospital handed over last. Its operator can restore the"
    " file, or remove {}: then the next model is not compared with it"
)


@dataclass(frozen=True, slots=True)
class KeptScores:
    """Rows that left, and what was asked."""

    key: str
    rows: list[PatientScore]


SCORED = TypeAdapter(KeptScores)


@dataclass(frozen=True, slots=True)
class ArmStore:
    """What a site remembers of its visits and scores in one arm of one run."""

    folder: Path

    def visited(self) -> dict[int, str]:
        """By leg: what was asked there."""
        path = self.folder / VISITS
        if not path.exists():
            return {}
        found = read_kept(path, VISITED, RefusedError, RESTORE)
        return {int(leg): key for leg, key in found.items()}

    def answer(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """What was answered, or None where it is no longer kept."""
        head = self.folder / ANSWERS / f"{key}.json"
        try:
            return read_kept(head, HEAD, RefusedError, RESTORE), mapped(self.body(key))
        except (OSError, ValueError, RefusedError):
            return None  # removed or damaged: another visit is not made for that

    def body(self, key: str) -> Path:
        """Where what an answer carries lies, or would."""
        return self.folder / ANSWERS / f"{key}.bin"

    def keep_body(self, key: str, pieces: Iterable[bytes], size: int) -> None:
        """Keep what an answer carries, of about so many bytes; the visit is not made by that."""
        write_pieces(self.body(key), pieces, size)

    def keep(self, leg: int, key: str, head: Mapping[str, Any], opener: Opener) -> None:
        """Keep an answer whose body is kept, then say that the visit was made: a kill in between
        loses the visit. `opener` opens the body here, for the acceptance check."""
        write_json(self._opener(key), asdict(opener))
        write_json(self.folder / ANSWERS / f"{key}.json", head)
        self._end_others()
        visits = {**self.visited(), leg: key}
        write_json(self.folder / VISITS, visits)
        newest = {visits[leg] for leg in sorted(visits)[-KEPT:]}
        for old in (self.folder / ANSWERS).iterdir():
            if old.stem not in newest:
                old.unlink()

    def scored(self, split: str) -> dict[int, KeptScores]:
        """By hand-over: what was asked there, and the rows of a split that left."""
        return {
            int(number): read_kept(path, SCORED, RefusedError, RESTORE)
            for path in (self.folder / "scores").glob(f"{split}-*.json")
            if (number := path.stem.rpartition("-")[2]).isdecimal()
        }

    def keep_scores(
        self, split: str, number: int, key: str, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keep the rows that leave: asked again, the same rows leave."""
        kept = {"key": key, "rows": list(rows)}
        write_json(self.folder / "scores" / f"{split}-{number}.json", kept)

    def _end_others(self) -> None:
        """Arms come one after the other: with the first visit of this one the others are done."""
        for other in self.folder.parent.iterdir():
            if other != self.folder and (other / VISITS).exists():
                write_bytes(other / ENDED, b"")
                shutil.rmtree(other / ANSWERS, ignore_errors=True)

    @property
    def ended(self) -> bool:
        """Whether another arm began after the last visit of this one."""
        return (self.folder / ENDED).exists()

    def last(self) -> bytes | None:
        """The plain baton that this site handed over last in this arm; None where there is none, or
        its operator removed it. Raises RefusedError where it is damaged."""
        visits = self.visited()
        body = self.body(visits[max(visits)]) if visits else None
        if body is None or not body.exists():
            return None
        opener = read_kept(self._opener(body.stem), OPENER, RefusedError, REMOVE.format(body.name))
        try:
            return opener.opened(mapped(body))
        except (OSError, ValueError) as error:
            raise RefusedError(
                f"{ANSWERS}/{body.name} in the kit can't be read or is damaged:"
                f" {REMOVE.format(body.name)}."
            ) from error

    def _opener(self, key: str) -> Path:
        return self.folder / ANSWERS / f"{key}.opener"


def arm_store(home: Path, run: str, arm: Arm) -> ArmStore:
    """The store of one arm of one run: an arm that this hospital laid itself."""
    return ArmStore(home / RUNS / run / arm.label)
