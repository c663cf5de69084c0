"""``roundelay`` and ``python -m roundelay``."""

import sys

from roundelay.cli.app import run_app


def main() -> None:
    """Run the command line and end with its exit code."""
    sys.exit(run_app(sys.argv[1:]))


if __name__ == "__main__":
    main()
