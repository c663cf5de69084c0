"""Every error that Roundelay raises on purpose, with the exit code it ends in.

RoundelayError
├── UserError            2: the user can mend it
│   ├── StudyError          study.toml
│   ├── DataError           images, masks, tables, splits
│   ├── ModelError          a model or weights file
│   ├── RunFolderError      the output folder, or a run that can't be resumed
│   ├── LedgerError         a ledger or baton that doesn't verify
│   ├── NetworkError        NETWORK.toml, a kit, a policy, a roster
│   ├── MissingExtraError   an optional part that isn't installed
│   ├── MissingTorchError   training, where only the part that checks is installed
│   ├── LockHeldError       a folder that another process works in
│   ├── OutputError         standard output, where nobody takes it
│   └── MachineError        a file, a folder or memory that the machine refuses; 3 where a run that
│       │                   was going can go on with --resume
│       ├── DiskFullError      no room to write
│       └── MemoryFullError    too little memory
└── SiteError            3: a site or the network failed; ``--resume`` goes on
    ├── HandoverError       a site did not begin with what it was sent
    ├── VisitError          training at a site went wrong
    ├── CourierError        a site can't be reached
    │   └── SiteAbsentError    a site isn't there, and was waited for long enough
    └── RefusedError        a site refuses what it was asked
"""

from collections.abc import Sequence
from pathlib import Path

READER_GONE = 141
"""What a shell says of a program whose reader left, as with ``| head -1``: 128 and SIGPIPE."""


class RoundelayError(Exception):
    """Base of all; its text is shown to the user as it is."""

    exit_code: int = 1


class UserError(RoundelayError):
    """Something that the user can mend."""

    exit_code = 2


class StudyError(UserError):
    """The study file is wrong."""


class DataError(UserError):
    """Images, masks, tables or splits are wrong; `faults` has a sentence for each."""

    def __init__(self, text: str, faults: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.faults = tuple(faults) or (text,)


class ModelError(UserError):
    """A model or weights file can't be used."""


class RunFolderError(UserError):
    """The output folder can't be used."""


class LedgerError(UserError):
    """A ledger or a baton does not verify."""


class NetworkError(UserError):
    """A network's plan, kit, policy or roster is wrong."""


class MachineError(UserError):
    """The machine refuses a file, a folder or memory. With `resumable`, a run was going: code 3."""

    def __init__(self, text: str, *, resumable: bool = False) -> None:
        super().__init__(text)
        if resumable:
            self.exit_code = SiteError.exit_code


class DiskFullError(MachineError):
    """There is no room left to write."""


class MemoryFullError(MachineError):
    """There is too little memory."""


class OutputError(UserError):
    """Standard output can't be written. Where its reader left, there is nobody to tell: no text."""

    def __init__(self, error: OSError) -> None:
        gone = isinstance(error, BrokenPipeError)
        super().__init__(
            "" if gone else f"Standard output can't be written: {error.strerror or error}."
        )
        if gone:
            self.exit_code = READER_GONE


class MissingExtraError(UserError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra '{extra}'. Install it with:\n"
            f"  pip install 'roundelay[{extra}]'"
        )


class MissingTorchError(UserError):
    """PyTorch is not installed: what only reads and checks works without it."""

    def __init__(self) -> None:
        super().__init__(
            "This command needs PyTorch, which isn't installed. Install it with:\n"
            "  pip install roundelay\n"
            "Where roundelay-verify is installed, uninstall that first."
        )


class LockHeldError(UserError):
    """Another process holds a lock, or was killed where its lock outlives it (`left`)."""

    def __init__(self, file: Path, *, left: bool) -> None:
        self.left = left
        super().__init__(
            f"{file} was left by a process that was killed, and this file system can't tell by"
            " itself. If nothing runs there, on any machine, remove that file and try again."
            if left
            else f"Another process holds {file}. Wait for it to end."
        )


class SiteError(RoundelayError):
    """A site or the connection to it failed; what was handed over is kept."""

    exit_code = 3


class HandoverError(SiteError):
    """A site did not begin with the bytes that it was sent."""


class VisitError(SiteError):
    """Training at a site went wrong."""


class CourierError(SiteError):
    """A site can't be reached, or its process ended."""


class SiteAbsentError(CourierError):
    """A site isn't there, and was waited for long enough."""

    def __init__(self, site: str, about: str, seconds: float) -> None:
        self.site, self.seconds = site, seconds
        super().__init__(
            f"{about}: {site} isn't there, and was waited for {seconds:g} s. What was handed over"
            " is kept. When it is back, go on with --resume."
        )


class RefusedError(SiteError):
    """A site refuses what it was asked; its operator can say why."""
