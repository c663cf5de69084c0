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

    try:
        code = run_app(sys.argv[1:])
    except MemoryError:  # not even enough to say so as usual
        os.write(2, b"There is too little memory for this. End other programs, and try again.\n")
        os._exit(2)
    sys.exit(streams.flushed(code))


if __name__ == "__main__":
    main()
