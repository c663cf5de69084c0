"""Where Roundelay keeps what it can make again: the cache folder of the system it runs on."""

from pathlib import Path

from platformdirs import user_cache_path

from roundelay.errors import UserError

HOMELESS = (
    "There is no home folder, so no folder for what Roundelay can make again.\n"
    "Set XDG_CACHE_HOME, or HOME, to a folder that can be written."
)


def cache_folder() -> Path:
    """The folder; it may not be there yet. Raises UserError where the user has no home."""
    # Windows would put it under an author's name too, which is the application's by default.
    try:
        folder = user_cache_path("roundelay", appauthor=False)
    except (RuntimeError, KeyError) as error:  # a user that the system doesn't know
        raise UserError(HOMELESS) from error
    if not folder.is_absolute():  # earlier versions of the library leave "~" as it is
        raise UserError(HOMELESS)
    return folder
