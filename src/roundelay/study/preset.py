"""The studies that come with Roundelay, as texts: named without reading one."""

from importlib import resources

PRESETS = resources.files("roundelay") / "study" / "presets"


def preset_names() -> tuple[str, ...]:
    """Their names, in order."""
    found = (path.name for path in PRESETS.iterdir() if path.name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in found))


def preset_text(name: str) -> str:
    """The commented text of a preset."""
    return (PRESETS / f"{name}.toml").read_text(encoding="utf-8")
