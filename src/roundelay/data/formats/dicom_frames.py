"""Enhanced DICOM: one file with many frames, each of which says by itself where it lies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PLACES = ("PixelMeasures", "PlaneOrientation")
"""Functional groups of where frames lie that are often of all frames of a file."""

KINDS = (
    ("FrameContent", "StackID", "stacks"),
    ("FrameContent", "TemporalPositionIndex", "points in time"),
    ("MRDiffusion", "DiffusionBValue", "b-values"),
    ("MREcho", "EffectiveEchoTime", "echo times"),
    ("MRImageFrameType", "ComplexImageComponent", "kinds of numbers"),
)
"""Group and name of what is one in a volume, and what several of them are called."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where one frame lies and how it is rescaled, as numbers stand there; empty or 0 where they
    don't. `belongs` has the value of each of `KINDS`, empty where the frame has none."""

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float
    slope: float
    intercept: float
    belongs: tuple[str, ...]


def frames_of(dataset: Any) -> tuple[Frame, ...]:
    """The frames in the order of their pixels; none where the file doesn't say of each where it
    lies. A frame's own group goes before that of all frames."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared: Any = next(iter(dataset.get("SharedFunctionalGroupsSequence") or ()), {})
    if len(own) != int(dataset.get("NumberOfFrames") or 1):
        return ()
    return tuple(_frame(one, shared) for one in own)


def _frame(own: Any, shared: Any) -> Frame:
    measures = _group(own, shared, "PixelMeasures")
    rescaled = _group(own, shared, "PixelValueTransformation")
    return Frame(
        position=_numbers(_group(own, shared, "PlanePosition"), "ImagePositionPatient"),
        orientation=_numbers(_group(own, shared, "PlaneOrientation"), "ImageOrientationPatient"),
        spacing=_numbers(measures, "PixelSpacing"),
        thickness=float(
            measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 0.0
        ),
        slope=float(rescaled.get("RescaleSlope") or 1),
        intercept=float(rescaled.get("RescaleIntercept") or 0),
        belongs=tuple(_text(_group(own, shared, name).get(key)) for name, key, _ in KINDS),
    )


def _group(own: Any, shared: Any, name: str) -> Any:
    """A functional group, empty where neither the frame nor all of them have it."""
    for holder in (own, shared):
        if items := holder.get(f"{name}Sequence"):
            return items[0]
    return {}


def _numbers(group: Mapping[str, Any], name: str) -> tuple[float, ...]:
    values = group.get(name)
    if values is None or isinstance(values, str):
        return ()
    return tuple(float(value) for value in values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).strip()


def several_volumes(frames: Sequence[Frame]) -> Iterator[str]:
    """What says that frames are more than one volume: ``2 stacks (StackID 1, 2)``."""
    for number, (_, key, several) in enumerate(KINDS):
        met = list(dict.fromkeys(frame.belongs[number] for frame in frames))
        if len(met) > 1:
            values = ", ".join(value or "none" for value in met[:6])
            yield f"{len(met)} {several} ({key} {values}{', …' if len(met) > 6 else ''})"
