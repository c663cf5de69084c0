"""Where Roundelay keeps what it can make again: the cache folder of the system it runs on."""

from pathlib import Path

from platformdirs import user_cache_path

from roundelay.errors import UserError


def cache_folder() -> Path:
    """The folder; it may not be there yet. Raises UserError where the user has no home."""
    # Windows would put it under an author's name too, which is the application's by default.
    folder = user_cache_path("roundelay", appauthor=False)
    if not folder.is_absolute():  # "~" stays as it is for a user that the system doesn't know
        raise UserError(
            "There is no home folder, so no folder for what Roundelay can make again.\n"
            "Set XDG_CACHE_HOME, or HOME, to a folder that can be written."
        )
    return folder
