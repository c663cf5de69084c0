"""Which version is installed, under either of the names that the package has."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of these files."""
    try:
        return version("roundelay")
    except PackageNotFoundError:  # the same files, installed without PyTorch
        return version("roundelay-verify")
