"""Cyclic and single weight transfer against pooling the images, on a few synthetic patients.

    python examples/compare_methods.py FOLDER

Makes three patients at each of two synthetic hospitals under FOLDER (extra ``demo``), trains three
small models, prints their scores and verifies the ledgers: half a minute on two cores.
"""

import sys
from pathlib import Path

import roundelay
from roundelay.phantom.cohort import make_phantom

STUDY = """
name = "three methods"
arms = ["cwt", "swt", "pooled"]

[data]
root = "patients"
split = { validation = 0.0, test = 0.25 }
crop = "brain"
size = 64

[model]
encoder = "resnet18_quarter"

[recipe]
rounds = 2
steps = 4
batch = 2
order = "shuffled"

[evaluation]
samples = false
"""


def main(folder: Path) -> None:
    """Run the study into ``FOLDER/RUN`` and print what it came to."""
    hospitals = {"NORTH": 3, "EAST": 3}
    make_phantom(folder / "patients", seed=1, patients=hospitals, slices=6)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")

    result = roundelay.run(folder / "study.toml", folder / "RUN")

    for arm in result.arms:
        if arm.test is not None:
            print(
                f"{arm.label}: mean Dice {arm.test.dice_mean:.3f} of {arm.test.patients} patients"
            )
    found = result.judgement.comparisons
    for sentence in (*map(str, found), *{one.no_verdict for one in found if one.no_verdict}):
        print(sentence)
    print(f"heads of the ledgers: {roundelay.verify(result.folder).heads}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
