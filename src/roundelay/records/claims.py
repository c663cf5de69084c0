"""What `verify` says: one line a claim, whether it was checked, and if not, why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from roundelay.errors import LedgerError
from roundelay.study.names import visible

Outcome = Literal["checked", "unchecked", "failed"]


class CantBeChecked(Exception):  # noqa: N818  it is no error but an answer
    """A claim that nothing here proves or disproves; its text says why."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that is said of a run, or of the arm `about` names; `why` it isn't proven."""

    about: str
    text: str
    outcome: Outcome
    why: str = ""

    def __str__(self) -> str:
        whose = f"{self.about}: " if self.about else ""
        told = {
            "checked": "checked",
            "unchecked": "can't be checked because ",
            "failed": "failed: ",
        }
        return plain(f"{whose}{self.text}: {told[self.outcome]}{self.why}")


def plain(text: str) -> str:
    """A text of one line, without what a terminal would obey: names may be anybody's."""
    return visible(text.replace("\n", " ").replace("\t", " "))


def tried(about: str, text: str, check: Callable[[], object]) -> Claim:
    """The claim `text`, with what comes of its check: nothing, or a reason raised.

    What is looked at may have been made by anybody, so whatever goes wrong while it is read speaks
    against the claim and stops none of the others.
    """
    try:
        check()
    except CantBeChecked as reason:
        return Claim(about, text, "unchecked", str(reason))
    except LedgerError as error:
        return Claim(about, text, "failed", str(error))
    except Exception as error:
        return Claim(about, text, "failed", f"it can't be read ({type(error).__name__}: {error}).")
    return Claim(about, text, "checked")
