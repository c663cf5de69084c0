"""The sections of a study: every key, its type and its default."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from roundelay.files.toml_file import Section, share_or, text_of
from roundelay.study.names import SiteName, one_line

ArmName = Literal["swt", "cwt", "fedavg", "fedprox", "pooled", "local"]

RELAYS, PARALLEL = ("cwt", "swt"), ("fedavg", "fedprox")
"""Arms in which one site trains at a time, and arms in which all sites of a round do."""

Order = Literal["given", "shuffled", "reversed", "there-and-back", "size"]

Intensity = Literal["zscore", "zscore_inner", "percentile"]

Crop = Literal["none", "brain"]

Side = Annotated[int, Field(ge=32, le=1024, multiple_of=32)]

Threshold = Annotated[float, Field(gt=0, lt=1)]

PLAIN_THRESHOLD = 0.5

Seal = Literal["sites", "owner", "none"]

Wire = Literal["float32", "bfloat16"]
"""In which numbers weights travel."""

Absent = Literal["wait", "defer", "skip"]

Fraction = Annotated[float, Field(ge=0, lt=1)]

MOST_SITES, MOST_SEEDS = 1000, 100

Positive = Annotated[int, Field(ge=1, le=2**63 - 1)]

Few = Annotated[int, Field(ge=1, le=10_000)]
"""Of rounds, of what is repeated in each, of slices in a batch."""

Many = Annotated[int, Field(ge=1, le=1_000_000)]
"""Of slices and steps."""

Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""What 64 bits hold."""

Seconds = Annotated[float, Field(gt=0, le=10 * 366 * 86400)]

Line = Annotated[str, AfterValidator(one_line)]
"""Text that is shown."""

Site = Annotated[str, AfterValidator(SiteName)]

NoneOrDigest = Annotated[
    str, text_of("([0-9a-f]{64})?", "a SHA-256 digest, 64 of the signs 0 to 9 and a to f")
]

TABLE = "table:"

NO_FILES = ("none", "imagenet")
"""What `Model.weights` can be beside a file."""


def is_table(sites: str) -> bool:
    """Whether this scheme of sites names a file."""
    return sites.startswith(TABLE) and sites != TABLE


def is_file(weights: str) -> bool:
    """Whether these weights are a file's."""
    return weights not in ("", *NO_FILES)


class Model(Section):
    encoder: Line = "resnext50_32x4d"
    weights: Annotated[str, Field(min_length=1)] = "none"
    weights_sha256: NoneOrDigest = ""
    """Of the file of weights: another one is refused."""
    goes_on_from: NoneOrDigest = ""
    """The head of a finished run whose models are the first weights."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.weights_sha256 and not is_file(self.weights):
            raise ValueError("weights_sha256 belongs to weights that are a file")
        return self

    @model_serializer(mode="wrap")
    def _without_newcomers(self, found: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As in `Recipe`."""
        values: dict[str, Any] = found(self)
        for key in ("weights_sha256", "goes_on_from"):
            if not getattr(self, key):
                values.pop(key, None)
        return values


class Recipe(Section):
    rounds: Few = 2
    epochs: Few | None = None
    steps: Many | None = None
    work: Literal["equal", "proportional"] = "proportional"
    order: Order = "given"
    compare_orders: tuple[Order, ...] = ()
    site_order: tuple[Site, ...] = ()
    batch: Few = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    optimiser: Literal["adam", "adamw"] = "adam"
    optimiser_state: Literal["reset", "travel", "stay"] = "reset"
    schedule: Literal["constant", "one_cycle", "cosine"] = "constant"
    loss: Literal["bce+dice", "bce+tversky"] = "bce+dice"
    deep_supervision: Annotated[float, Field(ge=0, le=1)] = 0.0
    positive_share: Annotated[Literal["natural"] | float, share_or("natural")] = "natural"
    augment: bool = True
    channel_dropout: Fraction = 0.0
    mirror: Literal["left-right", "both"] = "left-right"
    dropped_together: Annotated[tuple[tuple[Line, ...], ...], Field(max_length=100)] = ()
    gradient_clip: Annotated[float, Field(gt=0, le=1e6)] | None = None
    average: Literal["none", "ema", "last_round"] = "none"
    fedprox_mu: Annotated[float, Field(gt=0, le=10)] = 0.01
    average_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    remember: Literal["none", "si", "ewc"] = "none"
    remember_strength: Annotated[float, Field(ge=0, le=1e6)] | None = None
    recalibrate_batchnorm: bool = False
    recalibration_slices: Many = 640
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    wire: Wire = "float32"
    deterministic: bool = False

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.epochs and self.steps:
            raise ValueError("epochs and steps contradict each other: give one of them")
        if self.average_decay and self.average != "ema":
            raise ValueError('average_decay belongs to average = "ema"')
        if self.remember_strength is not None and self.remember == "none":
            raise ValueError('remember_strength belongs to remember = "si" or "ewc"')
        if len(set(self.site_order)) != len(self.site_order):
            raise ValueError("site_order names a site twice")
        orders = (self.order, *self.compare_orders)
        if self.site_order and "size" in orders:
            raise ValueError('site_order and order = "size" contradict each other')
        if len(set(orders)) != len(orders):
            raise ValueError("compare_orders names an order twice, or the one that order names")
        return self

    @model_validator(mode="after")
    def _agree_on_what_is_dropped(self) -> Self:
        if self.channel_dropout and not self.augment:
            raise ValueError("channel_dropout is a kind of augmentation: it needs augment = true")
        if self.mirror == "both" and not self.augment:
            raise ValueError('mirror = "both" is a kind of augmentation: it needs augment = true')
        if self.dropped_together and not self.channel_dropout:
            raise ValueError("dropped_together needs a channel_dropout: how often channels are")
        for together in self.dropped_together:
            if not together or len(set(together)) != len(together):
                raise ValueError("a set of dropped_together is empty, or names a channel twice")
        return self

    @model_serializer(mode="wrap")
    def _without_newcomers(self, found: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A key that came later stands only where a study names it: the digests of all others
        stay what they were."""
        values: dict[str, Any] = found(self)
        for key, plain in NEWCOMERS.items():
            if getattr(self, key) == plain:
                values.pop(key, None)
        if self.remember == "none":
            values.pop("remember_strength", None)
        return values

    @property
    def importance_travels(self) -> bool:
        """Whether a relay's batons hold how important each weight was at the sites before."""
        return self.remember != "none" and self.remember_strength != 0


NEWCOMERS: dict[str, Any] = {
    "gradient_clip": None, "dropped_together": (), "deep_supervision": 0.0, "mirror": "left-right",
    "remember": "none", "wire": "float32",
}  # fmt: skip
"""Keys of a recipe that came later, with what they are where a study says nothing."""


class Evaluation(Section):
    choose: Literal["last", "best", "worst-site"] = "last"
    follow: Literal["none", "round", "visit"] = "none"
    leave_out: Site | None = None
    threshold: Annotated[Literal["validation"] | float, share_or("validation")] = PLAIN_THRESHOLD
    test_time_augmentation: bool = False
    samples: bool = True

    @property
    def chooses_threshold(self) -> bool:
        """Whether each model's own is chosen, by validation patients."""
        return self.threshold == "validation"

    @property
    def given_threshold(self) -> float:
        """The one that masks are cut at where none was chosen yet: the study's number."""
        return PLAIN_THRESHOLD if self.threshold == "validation" else self.threshold


RAYS_OWN = frozenset({"CPU", "GPU", "memory", "object_store_memory"})
"""Resources of Ray that say nothing of where a node is."""


class CourierSettings(Section):
    kind: Literal["here", "cluster"] = "here"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    address: Line | None = None
    resources: Annotated[dict[Site, Line], Field(max_length=MOST_SITES)] = Field(
        default_factory=dict
    )
    seal: Seal = "sites"
    absent: Absent = "wait"
    patience: Seconds = 86400.0
    defer_after: Seconds = 300.0
    stuck_after: Seconds = 600.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.resources and self.kind != "cluster":
            raise ValueError(
                'resources pins sites to nodes of a cluster: it needs kind = "cluster"'
            )
        for site, name in self.resources.items():
            if name in RAYS_OWN:
                raise ValueError(
                    f"resources pins {site} to {name}, which Ray itself counts on every node: give"
                    " the node beside its data a name of its own"
                )
        return self

    @model_serializer(mode="wrap")
    def _without_newcomers(self, found: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As in `Recipe`: a study that pins no site is kept as it was."""
        values: dict[str, Any] = found(self)
        if not self.resources:
            values.pop("resources", None)
        return values
