"""What was seen in a folder of images, and the part of a study that says so, with its reasons."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import wrap
from typing import Any

from roundelay.data.left_out import shown

WIDE = 98
"""Letters of a line of comment."""

SITE_OF_ITS_OWN = (
    "A site whose images differ says so here or, between hospitals, in its own file:",
    "  [sites.EAST]",
    "  labels = { 3 = 4 }                # its 3 is the study's 4",
    '  channels = { t1ce = "*_T1post" }  # what it calls a channel',
    '  missing_channels = "zero"         # or "substitute:flair": where it lacks one',
)

LEAVING_OUT = (
    "Some exams lack a channel or a reference, or can't be used for another reason: roundelay init"
    ' and check count and name them. They are left out; "refuse" would end it.',
)

FEW = 0.1
"""The share of exams that may lack a channel which a study is made to name all the same: they are
left out."""


def in_nearly_all(count: int, exams: int) -> bool:
    """Whether so many of all exams have a channel that the others are rather left out."""
    return count >= (1 - FEW) * exams


@dataclass(frozen=True, slots=True)
class Seen:
    """`said` is what was found, as a sentence's end; `labels` are the regions, the main one first;
    `notes` are comments by the key that they stand above."""

    format: str
    said: str
    channels: tuple[str, ...]
    labels: Mapping[str, tuple[int, ...]]
    ignored: tuple[int, ...] = ()
    sites: str = "institution"
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    on_bad_exam: str = ""

    def as_toml(self, kept: Sequence[str]) -> str:
        """The section ``[data]`` with its root left open, and lines that are `kept` as they are."""
        lines = ["[data]", *comment(f"Found: {self.said}"), 'root = ""', *self._key("format")]
        for key in ("channels", "ignored_labels", "sites", "on_bad_exam"):
            lines += self._key(key)
        lines += [*kept, "", *comment(*self.notes.get("labels", ())), "[data.labels]"]
        lines += [f"{name} = {json.dumps(list(values))}" for name, values in self.labels.items()]
        return "\n".join([*lines, "", *comment(*SITE_OF_ITS_OWN), ""])

    def leaving_out(self) -> Iterator["Seen"]:
        """The same, for a study that leaves out exams which can't be used; then with fewer
        and fewer made-up sites, for which enough patients may be left."""
        notes = {**self.notes, "on_bad_exam": LEAVING_OUT}
        yield (first := replace(self, on_bad_exam="leave-out", notes=notes))
        kind, _, count = self.sites.partition(":")
        if kind == "chunks":
            for fewer in range(int(count) - 1, 1, -1):
                yield replace(first, sites=f"{kind}:{fewer}")
            yield replace(first, sites="institution")

    def _key(self, key: str) -> list[str]:
        values: dict[str, Any] = {
            "format": self.format,
            "channels": list(self.channels),
            "ignored_labels": list(self.ignored),
            "sites": self.sites,
            "on_bad_exam": self.on_bad_exam,
        }
        value = values[key]
        lines = comment(*self.notes.get(key, ()))
        return [*lines, f"{key} = {json.dumps(value, ensure_ascii=False)}"] if value else lines


def comment(*sentences: str) -> list[str]:
    """Sentences as lines of comment; what can't be printed in them is spelled. One that begins with
    blanks stays one line."""
    lines: list[str] = []
    for sentence in map(shown, sentences):
        lines += [sentence] if sentence.startswith(" ") else wrap(sentence, WIDE - 2)
    return [f"# {line}" for line in lines]
