"""``roundelay`` and ``python -m roundelay``: ready for Ctrl-C before anything of weight is
imported."""

import os
import sys

try:
    from roundelay.cli import stopping
except KeyboardInterrupt:  # it takes a few milliseconds
    os.write(2, b"Stopped.\n")
    os._exit(130)


def main() -> None:
    """Run the command line and end with its exit code."""
    stopping.listen()
    from roundelay.cli import streams

    streams.open_all()
    from roundelay.cli.app import run_app

    sys.exit(streams.flushed(run_app(sys.argv[1:])))


if __name__ == "__main__":
    main()
