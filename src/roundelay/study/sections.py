"""The sections of a study: every key, its type and its default."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from roundelay.files.toml_file import Section

ArmName = Literal["swt", "cwt", "fedavg", "fedprox", "pooled", "local"]

RELAYS, PARALLEL = ("cwt", "swt"), ("fedavg", "fedprox")
"""Arms in which one site trains at a time, and arms in which all sites of a round do."""

Order = Literal["given", "shuffled", "reversed", "there-and-back", "size"]

Seal = Literal["sites", "owner", "none"]

Absent = Literal["wait", "defer", "skip"]

Fraction = Annotated[float, Field(ge=0, lt=1)]

Positive = Annotated[int, Field(ge=1)]

SCHEMES = ("institution", "chunks:N", "table:FILE.csv")


class Split(Section):
    """Shares of each site's patients; the rest trains."""

    validation: Fraction = 0.15
    test: Fraction = 0.20

    @model_validator(mode="after")
    def _leave_something(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave no patient to train on")
        return self


class Data(Section):
    root: str = ""
    format: Literal["lgg", "phantom"] = "lgg"
    sites: str = "institution"
    split: Split = Split()
    split_seed: int = 0
    slices: Literal["all", "positive"] = "all"
    train_slices: Positive | None = None
    intensity: Literal["zscore", "percentile"] = "zscore"
    crop: Literal["none", "brain"] = "none"
    size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 256

    @model_validator(mode="after")
    def _known_scheme(self) -> Self:
        kind, _, value = self.sites.partition(":")
        ok = {
            "institution": not value,
            "chunks": value.isdecimal() and int(value) > 0,
            "table": value,
        }
        if not ok.get(kind):
            raise ValueError(f"sites = {self.sites!r} is none of {', '.join(SCHEMES)}")
        if self.format == "lgg" and not self.root:
            raise ValueError("root is missing: the folder of the data")
        return self


class Model(Section):
    encoder: str = "resnext50_32x4d"
    weights: str = "none"


class Recipe(Section):
    rounds: Positive = 2
    epochs: Positive | None = None
    steps: Positive | None = None
    work: Literal["equal", "proportional"] = "proportional"
    order: Order = "given"
    compare_orders: tuple[Order, ...] = ()
    site_order: tuple[str, ...] = ()
    batch: Positive = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    optimiser: Literal["adam", "adamw"] = "adam"
    optimiser_state: Literal["reset", "travel", "stay"] = "reset"
    schedule: Literal["constant", "one_cycle", "cosine"] = "constant"
    loss: Literal["bce+dice", "bce+tversky"] = "bce+dice"
    positive_share: Literal["natural"] | Annotated[float, Field(gt=0, lt=1)] = "natural"
    augment: bool = True
    channel_dropout: Fraction = 0.0
    gradient_clip: Annotated[float, Field(gt=0, le=1e6)] | None = None
    average: Literal["none", "ema", "last_round"] = "none"
    fedprox_mu: Annotated[float, Field(gt=0, le=10)] = 0.01
    average_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    recalibrate_batchnorm: bool = False
    recalibration_slices: Positive = 640
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    deterministic: bool = False

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.epochs and self.steps:
            raise ValueError("epochs and steps contradict each other: give one of them")
        if self.channel_dropout and not self.augment:
            raise ValueError("channel_dropout is a kind of augmentation: it needs augment = true")
        if self.average_decay and self.average != "ema":
            raise ValueError('average_decay belongs to average = "ema"')
        if len(set(self.site_order)) != len(self.site_order):
            raise ValueError("site_order names a site twice")
        orders = (self.order, *self.compare_orders)
        if self.site_order and "size" in orders:
            raise ValueError('site_order and order = "size" contradict each other')
        if len(set(orders)) != len(orders):
            raise ValueError("compare_orders names an order twice, or the one that order names")
        return self

    @model_serializer(mode="wrap")
    def _without_newcomers(self, found: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A key that came later stands only where a study names it: the digests of all others
        stay what they were."""
        values: dict[str, Any] = found(self)
        if self.gradient_clip is None:
            values.pop("gradient_clip", None)
        return values


class Evaluation(Section):
    choose: Literal["last", "best", "worst-site"] = "last"
    follow: Literal["none", "round", "visit"] = "none"
    leave_out: str | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    test_time_augmentation: bool = False
    samples: bool = True


class CourierSettings(Section):
    kind: Literal["here", "cluster"] = "here"
    threads: Positive | None = None
    address: str | None = None
    seal: Seal = "sites"
    absent: Absent = "wait"
    patience: Annotated[float, Field(gt=0)] = 86400.0
    defer_after: Annotated[float, Field(gt=0)] = 300.0
    stuck_after: Annotated[float, Field(gt=0)] = 600.0
