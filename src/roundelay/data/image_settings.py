"""How exams are read: what a study says of channels, regions and slices, and a site of its own."""

from dataclasses import dataclass, replace
from unicodedata import normalize

from roundelay.study.data_section import (
    LGG_CHANNELS,
    MAIN,
    Align,
    Data,
    OnBadExam,
    Plane,
    SiteImages,
)


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """`channels` in the network's order; `regions` by name, each the label values that belong to
    it; `ignored` values count as background.
    `on_bad_exam` says whether an exam that can't be used ends all, or is left out and named.

    Of a site alone: `renumbered` (its value, the study's), `named` (the study's channel, the
    site's name for it), `missing` (``refuse``, ``zero`` or ``substitute:CHANNEL``). `elsewhere`
    are the settings of exams that are read otherwise, by the names of exams, patients or sites.
    `fold` is who tests, where lists beside the exams say so; no exam is read otherwise for it.
    """

    channels: tuple[str, ...] = LGG_CHANNELS
    regions: tuple[tuple[str, tuple[int, ...]], ...] = ((MAIN, (1,)),)
    ignored: tuple[int, ...] = ()
    plane: Plane = "auto"
    align: Align = "refuse"
    on_bad_exam: OnBadExam = "refuse"
    renumbered: tuple[tuple[int, int], ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    missing: str = "refuse"
    elsewhere: tuple[tuple[str, "ImageSettings"], ...] = ()
    fold: int | None = None

    def at(self, *names: str) -> "ImageSettings":
        """The settings of an exam by one of its names: its own, its patient's, its site's."""
        found = dict(self.elsewhere)
        known = (normalize("NFC", name) for name in names)
        own = next((found[name] for name in known if name in found), self)
        return replace(own, elsewhere=(), fold=None)

    @property
    def region_names(self) -> tuple[str, ...]:
        """The main region first."""
        return tuple(name for name, _ in self.regions)

    def name_here(self, channel: str) -> str:
        """What the site calls one of the study's channels."""
        return dict(self.named).get(channel, channel)


LGG_SETTINGS = ImageSettings()
"""What the public LGG set needs said: nothing."""

ANY = ImageSettings(channels=())
"""Before a study is known: exams are found by name, and none of their channels is looked for."""


def settings_of(data: Data, site: SiteImages | None = None) -> ImageSettings:
    """How this study's exams are read, at a site that says something of its own."""
    found = ImageSettings(
        channels=data.channel_names,
        regions=tuple(data.regions.items()),
        ignored=data.ignored_labels,
        plane=data.plane,
        align=data.align,
        on_bad_exam=data.on_bad_exam,
        fold=data.fold,
    )
    return found if site is None else with_site(found, site)


def with_site(settings: ImageSettings, site: SiteImages) -> ImageSettings:
    """The same at a site that says something of its own."""
    return replace(
        settings,
        renumbered=tuple(sorted((int(here), there) for here, there in site.labels.items())),
        named=tuple(sorted(site.channels.items())),
        missing=site.missing_channels,
    )
