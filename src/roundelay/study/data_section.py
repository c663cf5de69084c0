"""The section ``[data]`` of a study, and what a site says of its own images."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from roundelay.files.toml_file import Section, text_of
from roundelay.study.names import confusable
from roundelay.study.sections import MOST_SITES, TABLE, Crop, Fraction, Intensity, Many, Seed, Side

FORMATS = ("lgg", "phantom", "nifti", "nnunet", "datalist", "dicom")

FormatName = Literal["lgg", "phantom", "nifti", "nnunet", "datalist", "dicom"]

LGG_CHANNELS = ("pre", "flair", "post")
"""The channels of the public LGG set, and of the synthetic patients, as they lie in its slices."""

FIXED = ("lgg", "phantom")
"""Formats whose slices have just these channels, and masks of one region."""

MAIN = "tumour"
"""The one region of a study that names none: what masks of 0 and 255, or 0 and 1, mark."""

Plane = Literal["auto", "axial", "coronal", "sagittal"]

Align = Literal["refuse", "resample"]

OnBadExam = Literal["refuse", "leave-out"]

Duplicates = Literal["refuse", "one-split"]

FOLDED: tuple[FormatName, ...] = ("nnunet", "datalist")
"""Formats that may come with lists of who tests, by fold."""

SCHEMES = ("institution", "chunks:N", f"{TABLE}FILE.csv")

MOST_CHANNELS, MOST_REGIONS, MOST_VALUE = 16, 16, 65_535

MOST_FOLDS = 100


PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,31}")


def _plain(name: str) -> str:
    if not PLAIN.fullmatch(name):
        raise ValueError("is no plain name: letters, digits, _, + and -, 32 at most")
    return name


Plain = Annotated[str, AfterValidator(_plain)]
"""The name of a channel or of a region."""

Value = Annotated[int, Field(ge=1, le=MOST_VALUE)]
"""Of a mask; 0 is background."""

Here = Annotated[
    str, text_of(r"[1-9][0-9]{0,4}", "a value of the site's masks, a whole number from 1 on")
]
"""A value as the key of a table."""

Millimetres = Annotated[float, Field(ge=0.05, le=20)]

Values = Annotated[tuple[Value, ...], Field(min_length=1, max_length=256)]


def _as_table(given: object) -> object:
    """Pairs as a table: messages sort the keys of tables, and the first region is the main one."""
    if isinstance(given, list) and all(isinstance(p, list) and len(p) == 2 for p in given):
        given = {name: own for name, own in given if isinstance(name, str)}
    if isinstance(given, dict):  # no JSON behind this function: its lists stand for tuples
        return {name: tuple(own) if isinstance(own, list) else own for name, own in given.items()}
    return given


Regions = Annotated[dict[Plain, Values], BeforeValidator(_as_table), Field(max_length=MOST_REGIONS)]

Meant = Annotated[int, Field(ge=0, le=MOST_VALUE)]
"""What a site's own value is in the study."""

OwnName = Annotated[str, Field(min_length=1, max_length=200)]
"""What a site calls a channel in the names of its files."""


class Split(Section):
    """Shares of each site's patients; the rest trains."""

    validation: Fraction = 0.15
    test: Fraction = 0.20

    @model_validator(mode="after")
    def _leave_something(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave no patient to train on")
        return self


class SiteImages(Section):
    """What one site's images have otherwise than the study says."""

    labels: dict[Here, Meant] = Field(default_factory=dict)
    channels: dict[Plain, OwnName] = Field(default_factory=dict)
    missing_channels: Annotated[
        str,
        text_of(
            r"refuse|zero|substitute:[A-Za-z0-9][A-Za-z0-9_+-]*",
            "'refuse', 'zero' or, as in 'substitute:flair', another channel",
        ),
    ] = "refuse"


class Data(Section):
    root: str = ""
    format: FormatName = "lgg"
    channels: Annotated[tuple[Plain, ...], Field(max_length=MOST_CHANNELS)] = ()
    labels: Regions = Field(default_factory=dict)
    ignored_labels: tuple[Value, ...] = ()
    sites: str = "institution"
    split: Split = Split()
    split_seed: Seed = 0
    fold: Annotated[int, Field(ge=0, le=999)] | None = None
    folds: Annotated[int, Field(ge=2, le=MOST_FOLDS)] | None = None
    test_fold: Annotated[int, Field(ge=1, le=MOST_FOLDS)] | None = None
    slices: Literal["all", "positive"] = "all"
    train_slices: Many | None = None
    plane: Plane = "auto"
    align: Align = "refuse"
    on_bad_exam: OnBadExam = "refuse"
    duplicates: Duplicates = "refuse"
    intensity: Intensity = "zscore"
    crop: Crop = "none"
    spacing: Millimetres | None = None
    neighbours: Annotated[int, Field(ge=0, le=3)] = 0
    size: Side = 256

    @property
    def channel_names(self) -> tuple[str, ...]:
        """In the network's order."""
        return self.channels or LGG_CHANNELS

    @property
    def regions(self) -> dict[str, tuple[int, ...]]:
        """The main one first, each with the values of masks that belong to it."""
        return self.labels or {MAIN: (1,)}

    @property
    def is_lgg(self) -> bool:
        """Whether its files are those of the LGG set's layout: three channels, one region."""
        return self.format in FIXED

    @model_validator(mode="after")
    def _known_scheme(self) -> Self:
        kind, _, value = self.sites.partition(":")
        ok = {
            "institution": not value,
            "chunks": re.fullmatch("0*[1-9][0-9]{0,3}", value) and int(value) <= MOST_SITES,
            "table": value,
        }
        if not ok.get(kind):
            raise ValueError(
                f"sites = {self.sites[:60]!r} is none of {', '.join(SCHEMES)}"
                f" (N: {MOST_SITES} at most)"
            )
        if self.format != "phantom" and not self.root:
            raise ValueError("root is missing: the folder of the data (--data FOLDER names it too)")
        if self.fold is not None and self.format not in FOLDED:
            raise ValueError(
                f"fold is not asked of the format {self.format}: the formats {' and '.join(FOLDED)}"
                " may come with lists of who tests"
            )
        return self

    @model_validator(mode="after")
    def _known_folds(self) -> Self:
        if self.folds is None:
            if self.test_fold is not None:
                raise ValueError("test_fold says which of the folds tests: it needs folds")
            return self
        if self.fold is not None:
            raise ValueError(
                "fold and folds contradict each other: fold takes the test patients from a list"
                " beside the images, folds draws them from all patients"
            )
        if self.test_fold is not None and self.test_fold > self.folds:
            raise ValueError(f"test_fold = {self.test_fold}, but there are {self.folds} folds")
        if self.split.validation >= 1 - 1 / self.folds:
            raise ValueError(
                f"split.validation = {self.split.validation:g} and one fold of {self.folds} to test"
                " leave no patient to train on"
            )
        return self

    @model_validator(mode="after")
    def _known_images(self) -> Self:
        if self.is_lgg:
            for key in ("channels", "labels", "ignored_labels", "spacing"):
                if getattr(self, key):
                    raise ValueError(
                        f"{key} is not asked of the format {self.format}: its slices have the"
                        f" channels {', '.join(LGG_CHANNELS)}, masks of 0 and 255, no millimetres"
                    )
            return self
        if not self.channels:
            raise ValueError('channels is missing, as in channels = ["t1ce", "t1", "t2", "flair"]')
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels names one twice")
        if not self.labels:
            raise ValueError(
                "labels is missing: what the values of masks mean, as in [data.labels] and"
                " tumour = [1, 2, 4]"
            )
        return self

    @model_validator(mode="after")
    def _known_labels(self) -> Self:
        if pair := confusable(self.labels):
            raise ValueError(f"labels names two regions, {pair[0]} and {pair[1]}, that differ in"
                             " case alone")  # fmt: skip
        if twice := set(self.ignored_labels) & {v for own in self.labels.values() for v in own}:
            raise ValueError(f"ignored_labels names {min(twice)}, which is a region's too")
        return self

    @model_serializer(mode="wrap")
    def _without_newcomers(self, found: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A key that came later stands only where a study names it: the digests of all others
        stay what they were."""
        values: dict[str, Any] = found(self)
        for key, plain in NEWCOMERS.items():
            if getattr(self, key) == plain:
                values.pop(key, None)
        return values


NEWCOMERS: dict[str, Any] = {
    "channels": (), "labels": {}, "ignored_labels": (), "plane": "auto", "align": "refuse",
    "on_bad_exam": "refuse", "duplicates": "refuse", "spacing": None, "neighbours": 0, "fold": None,
    "folds": None, "test_fold": None,
}  # fmt: skip
"""Keys that came later, with what they are where a study says nothing."""
