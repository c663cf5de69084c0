"""The whole experiment as values, checked once; `study_file` reads and writes it."""

import hashlib
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from roundelay.atomic import canonical_json
from roundelay.checked import Section

ArmName = Literal["swt", "cwt", "fedavg", "fedprox", "pooled", "local"]
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
    stand_in: Fraction = 0.0
    average: Literal["none", "ema", "trail"] = "none"
    proximal: Annotated[float, Field(gt=0, le=10)] = 0.01
    average_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    calibrate: bool = False
    calibration_slices: Positive = 640
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    deterministic: bool = False

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.epochs and self.steps:
            raise ValueError("epochs and steps contradict each other: give one of them")
        if self.stand_in and not self.augment:
            raise ValueError("stand_in is a kind of augmentation: it needs augment = true")
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


class Evaluation(Section):
    choose: Literal["last", "best", "worst-site"] = "last"
    follow: Literal["none", "round", "visit"] = "none"
    leave_out: str | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    flips: bool = False
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


class Study(Section):
    """The whole experiment. `digest` covers all of it but where data and processes are."""

    name: Annotated[str, Field(min_length=1)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    arms: Annotated[tuple[ArmName, ...], Field(min_length=1)] = ("cwt",)
    keep: Literal["last", "all"] = "last"
    data: Data
    model: Model = Model()
    recipe: Recipe = Recipe()
    evaluation: Evaluation = Evaluation()
    courier: CourierSettings = CourierSettings()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(set(self.arms)) != len(self.arms) or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("an arm or a seed is named twice")
        if self.evaluation.follow != "none" and not self.data.split.validation:
            raise ValueError(f'follow = "{self.evaluation.follow}" needs validation patients')
        if self.recipe.compare_orders and not {"cwt", "swt"} & set(self.arms):
            raise ValueError("compare_orders needs the arm cwt or swt")
        self._agree_on_absence()
        if self.evaluation.choose == "last":
            return self
        if not self.data.split.validation:
            raise ValueError(f'choose = "{self.evaluation.choose}" needs validation patients')
        if self.recipe.calibrate or self.recipe.average == "trail":
            raise ValueError(
                'choosing among the rounds\' models contradicts calibrate and average = "trail",'
                " which only the last one has"
            )
        return self

    def _agree_on_absence(self) -> None:
        absent = self.courier.absent
        if absent != "wait" and self.recipe.average == "trail":
            raise ValueError(
                f'absent = "{absent}" contradicts average = "trail", which weighs the last round\'s'
                " visits as they were planned"
            )
        if absent == "skip" and self.recipe.optimiser_state == "stay":
            raise ValueError(
                'absent = "skip" contradicts optimiser_state = "stay": a skipped visit leaves none'
            )

    @property
    def digest(self) -> str:
        plan = self.model_dump(mode="json", exclude={"courier": True, "data": {"root"}})
        return hashlib.sha256(canonical_json(plan)).hexdigest()
