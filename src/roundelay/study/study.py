"""The whole experiment as values, checked once; `file` reads and writes it."""

import hashlib
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from roundelay.files.canonical import canonical_json
from roundelay.files.toml_file import Section
from roundelay.study.data_section import Data, SiteImages
from roundelay.study.network_shape import NetworkShape
from roundelay.study.sections import (
    MOST_SEEDS,
    MOST_SITES,
    RELAYS,
    TABLE,
    ArmName,
    CourierSettings,
    Evaluation,
    Line,
    Model,
    Recipe,
    Seed,
    Site,
    is_file,
    is_table,
)

OwnSites = Annotated[dict[Site, SiteImages], Field(max_length=MOST_SITES)]
"""What single sites have otherwise."""


class Study(Section):
    """The whole experiment. `digest` covers all of it but where data and processes are."""

    name: Line
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MOST_SEEDS)] = (0,)
    arms: Annotated[tuple[ArmName, ...], Field(min_length=1)] = ("cwt",)
    keep: Literal["last", "all"] = "last"
    data: Data
    model: Model = Model()
    recipe: Recipe = Recipe()
    evaluation: Evaluation = Evaluation()
    courier: CourierSettings = CourierSettings()
    sites: OwnSites = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(set(self.arms)) != len(self.arms) or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("an arm or a seed is named twice")
        validates = self.data.split.validation or is_table(self.data.sites)  # the table may give it
        if self.evaluation.follow != "none" and not validates:
            raise ValueError(f'follow = "{self.evaluation.follow}" needs validation patients')
        if self.data.folds and self.evaluation.leave_out is not None:
            raise ValueError(
                "evaluation.leave_out and data.folds contradict each other: at the site left out"
                " all patients test, in folds each patient once. Take one of them out"
            )
        if self.evaluation.chooses_threshold and not validates:
            raise ValueError('threshold = "validation" needs validation patients, who choose it')
        self._agree_on_images()
        self._agree_on_arms()
        self._agree_on_absence()
        if self.evaluation.choose == "last":
            return self
        if not validates:
            raise ValueError(f'choose = "{self.evaluation.choose}" needs validation patients')
        if self.recipe.recalibrate_batchnorm or self.recipe.average == "last_round":
            raise ValueError(
                "choosing among the rounds' models contradicts recalibrate_batchnorm and"
                ' average = "last_round", which only the last one has'
            )
        return self

    def _agree_on_images(self) -> None:
        if self.sites and self.data.is_lgg:
            raise ValueError(f"sites says how images differ, and those of {self.data.format} don't")
        channels = self.data.channel_names
        for site, own in self.sites.items():
            named = [*own.channels, own.missing_channels.partition("substitute:")[2]]
            if strange := [name for name in named if name and name not in channels]:
                raise ValueError(f"sites.{site} names the channel {strange[0]}, which isn't one")

        for together in self.recipe.dropped_together:
            if strange := [name for name in together if name not in channels]:
                raise ValueError(
                    f"dropped_together names the channel {strange[0]}, which isn't one"
                )
            if len(together) == len(channels):
                raise ValueError("dropped_together names a set of all channels: one must be left")
            if any(name.lower() == "flair" for name in together):
                raise ValueError(
                    "dropped_together names FLAIR, which stands in for what is dropped"
                )

    def _agree_on_arms(self) -> None:
        if self.recipe.compare_orders and not {"cwt", "swt"} & set(self.arms):
            raise ValueError("compare_orders needs the arm cwt or swt")
        # A kept study has every key, also those of arms that it doesn't have, with their default.
        plain = Recipe.model_fields["fedprox_mu"].default
        if self.recipe.fedprox_mu != plain and "fedprox" not in self.arms:
            raise ValueError("fedprox_mu belongs to the arm fedprox, which isn't among the arms")
        if self.recipe.remember != "none" and not set(RELAYS) & set(self.arms):
            raise ValueError(
                "remember belongs to the arms cwt and swt, neither of which is among the arms"
            )

    def _agree_on_absence(self) -> None:
        absent = self.courier.absent
        if absent != "wait" and self.recipe.average == "last_round":
            raise ValueError(
                f'absent = "{absent}" contradicts average = "last_round", which weighs the last'
                " round's visits as they were planned"
            )
        if absent == "skip" and self.recipe.optimiser_state == "stay":
            raise ValueError(
                'absent = "skip" contradicts optimiser_state = "stay": a skipped visit leaves none'
            )

    @model_serializer(mode="wrap")
    def _without_newcomers(self, found: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As in `Data`: a study that says nothing of single sites keeps its digest."""
        values: dict[str, Any] = found(self)
        if not self.sites:
            values.pop("sites", None)
        return values

    @property
    def network(self) -> NetworkShape:
        """What the study's network is built from."""
        seen = len(self.data.channel_names) * (1 + 2 * self.data.neighbours)
        return NetworkShape(
            self.model.encoder, seen, len(self.data.regions), self.recipe.deep_supervision > 0
        )

    def of_fold(self, fold: int | None) -> "Study":
        """The study in which this fold, from 1, tests; None: that of all folds."""
        return self.model_copy(update={"data": self.data.model_copy(update={"test_fold": fold})})

    def without_places(self) -> dict[str, Any]:
        """The study less what only one computer knows: folders, files, processes.

        What stands in a table of sites, and in a file of weights, is pinned beside it: by the
        digests of the cohort and of the first weights, in run.json and in every ledger.
        """
        plan = self.model_dump(mode="json", exclude={"courier": True, "data": {"root"}})
        if is_table(self.data.sites):
            plan["data"]["sites"] = f"{TABLE}FILE"
        if is_file(self.model.weights):
            plan["model"]["weights"] = "FILE"
        if self.data.labels:  # as a list: digests sort keys, and the first region is the main one
            plan["data"]["labels"] = [[name, list(own)] for name, own in self.data.labels.items()]
        return plan

    @property
    def digest(self) -> str:
        return hashlib.sha256(canonical_json(self.without_places())).hexdigest()
