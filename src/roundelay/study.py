"""study.toml <-> Study: every fault of the file at once, each with the nearest right word."""

import difflib
import hashlib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from roundelay.atomic import canonical_json
from roundelay.errors import StudyError

ArmName = Literal["swt", "cwt", "pooled", "local"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
SCHEMES = ("institution", "chunks:N", "table:FILE.csv")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
    order: Literal["given", "shuffled", "reversed", "there-and-back", "size"] = "given"
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
        if self.site_order and self.order == "size":
            raise ValueError('site_order and order = "size" contradict each other')
        return self


class Evaluation(Section):
    choose: Literal["last", "best", "worst-site"] = "last"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    flips: bool = False


class CourierSettings(Section):
    kind: Literal["here", "cluster"] = "here"
    threads: Positive | None = None
    address: str | None = None


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

    @property
    def digest(self) -> str:
        plan = self.model_dump(mode="json", exclude={"courier": True, "data": {"root"}})
        return hashlib.sha256(canonical_json(plan)).hexdigest()


def preset_names() -> tuple[str, ...]:
    """The studies that come with Roundelay."""
    folder = resources.files("roundelay") / "presets"
    return tuple(
        sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))
    )


def preset_text(name: str) -> str:
    """The commented text of a preset."""
    return (resources.files("roundelay") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def read_study(study: Path | str, *, data: Path | None = None) -> Study:
    """Read a study file, or a preset by name; `data` takes the place of ``data.root``.

    A relative root is relative to the study file. Raises StudyError naming every fault at once.
    """
    if str(study) in preset_names() and not Path(study).exists():
        return parse_study(
            preset_text(str(study)), where=f"preset {study}", folder=Path(), data=data
        )
    path = Path(study)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{path} can't be read: {getattr(error, 'strerror', None) or error}.\n"
            f"Give a study file, or a preset: {', '.join(preset_names())}."
        ) from error
    return parse_study(text, where=str(path), folder=path.parent, data=data)


def parse_study(text: str, *, where: str, folder: Path, data: Path | None = None) -> Study:
    """Check the text of a study; `where` names it in errors, paths are relative to `folder`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{where} is no TOML: {error}.") from error
    try:
        # Through JSON: TOML's lists stand for tuples, which strict mode would otherwise refuse.
        _place_root(values, folder, data)
        return Study.model_validate_json(json.dumps(values))
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(fault)}" for fault in error.errors())
        count = error.error_count()
        raise StudyError(
            f"{where} has {count} fault{'s' * (count > 1)}:\n{faults}\nMend the file and try again."
        ) from error
    except TypeError as error:
        raise StudyError(f"{where}: dates and times have no place in a study ({error}).") from error


def _place_root(values: dict[str, Any], folder: Path, data: Path | None) -> None:
    section = values.setdefault("data", {})
    if not isinstance(section, dict):
        return
    if data is not None:
        section["root"] = str(data)
    elif isinstance(section.get("root"), str) and section["root"]:
        section["root"] = str((folder / section["root"]).resolve())
    scheme = section.get("sites")
    if isinstance(scheme, str) and scheme.startswith("table:") and len(scheme) > len("table:"):
        section["sites"] = f"table:{(folder / scheme.removeprefix('table:')).resolve()}"


def _fault(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "the study"
    if fault["type"] != "extra_forbidden":
        given = fault.get("input")
        shown = f" (it is {given!r})" if isinstance(given, str | int | float) else ""
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}{shown}"
    key = str(fault["loc"][-1])
    near = difflib.get_close_matches(key, _keys_beside(fault["loc"]), n=1, cutoff=0.5)
    return f"{where}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "")


def _keys_beside(loc: tuple[Any, ...]) -> list[str]:
    section: Any = Study
    for part in loc[:-1]:
        annotation = section.model_fields[part].annotation
        section = next(a for a in (annotation, *get_args(annotation)) if hasattr(a, "model_fields"))
    return list(section.model_fields)


def to_toml(study: Study) -> str:
    """A study as TOML; reading it again gives an equal study."""
    values = study.model_dump(mode="json", exclude_none=True)
    tables = {key: values.pop(key) for key in list(values) if isinstance(values[key], dict)}
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
