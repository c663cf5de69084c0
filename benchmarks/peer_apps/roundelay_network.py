"""Roundelay between hospitals, as processes on this machine: server, sites and coordinator.

The folder that is given has patients and a partition into sites, as for a run in one process; each
site gets its own patients alone. Approved is what waits, as every site's operator would.
"""

import csv
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from parties import start_network


def folders_by_site(place: Path) -> dict[str, list[Path]]:
    """Patients' folders by the site that the partition gives them to."""
    found: dict[str, list[Path]] = {}
    with (place / "partition.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            found.setdefault(row["site"], []).append(place / "images" / row["patient"])
    return found


def main() -> None:
    place = Path(sys.argv[1])
    net = start_network(place / "network", folders_by_site(place), threads=2)
    try:
        coordinator = net.submit(place / "study.toml", place / "RUN")
        while coordinator.process.poll() is None:
            net.approve_waiting()
            time.sleep(0.1)
        print(coordinator.log.read_text()[-2000:])
    finally:
        net.end()
    raise SystemExit(coordinator.process.returncode)


if __name__ == "__main__":
    main()
