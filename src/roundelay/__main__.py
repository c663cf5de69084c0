"""``roundelay`` and ``python -m roundelay``."""

import io
import sys

from roundelay.cli.app import run_app


def main() -> None:
    """Run the command line and end with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Into a pipe on Windows, arrows and dashes may have no code: no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(run_app(sys.argv[1:]))


if __name__ == "__main__":
    main()
