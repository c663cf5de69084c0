"""The studies whose bytes are held: every arm, order, state, average, courier, choice of a model.

Each is a study file's text; `data` names the cohort that it runs on.
"""

from dataclasses import dataclass

LGG_PATIENTS = (
    "TCGA_CS_4942_19970222",
    "TCGA_CS_4943_20000902",
    "TCGA_HT_7680_19970202",
    "TCGA_HT_7686_19950629",
)
"""Four patients of the public set with few slices, from two hospitals."""

TOY_PATIENTS = {"NORTH": 3, "EAST": 3, "WEST": 2}
PHANTOM_PATIENTS = {"NORTH": 3, "EAST": 2}


@dataclass(frozen=True, slots=True)
class Golden:
    """A study; `network` runs it between hospitals in one process, with `away` a site that misses
    its first turn there."""

    text: str
    data: str = "toy"
    network: bool = False
    away: str | None = None
    leave_out: bool = False
    needs: str = ""


def _study(
    arms: str = '["cwt"]', recipe: str = "", evaluation: str = "", top: str = "", data: str = "",
    courier: str = "", encoder: str = "resnet18_quarter",
) -> str:  # fmt: skip
    steps = "" if "epochs" in recipe else "steps = 2\n"
    data = data if "split" in data else data + "split = { validation = 0.2, test = 0.25 }\n"
    data = data if "size" in data else data + "size = 32\n"
    return (
        f'name = "golden"\narms = {arms}\n{top}\n[data]\nroot = "DATA"\nformat = "lgg"\n{data}'
        f'\n[model]\nencoder = "{encoder}"\n\n[recipe]\nrounds = 2\nbatch = 2\n{steps}'
        f"deterministic = true\n{recipe}\n"
        f"[evaluation]\nsamples = false\n{evaluation}\n[courier]\nthreads = 1\n{courier}\n"
    )


FULL = """precision = "bfloat16"
optimiser = "adamw"
optimiser_state = "travel"
weight_decay = 0.01
schedule = "one_cycle"
loss = "bce+tversky"
positive_share = 0.6
order = "shuffled"
channel_dropout = 0.2
recalibrate_batchnorm = true
recalibration_slices = 12
"""

FEW = "\nrecalibration_slices = 9"
"""The default takes longer than all else in these studies."""

STUDIES = {
    "arms": Golden(
        _study(
            '["cwt", "fedavg", "fedprox", "local"]',
            top="seeds = [3]",
        )
    ),
    "orders": Golden(
        _study(
            '["swt"]',
            'compare_orders = ["shuffled", "reversed", "there-and-back", "size"]\nepochs = 1',
        )
    ),
    "site-order": Golden(
        _study('["swt"]', recipe='site_order = ["WEST", "NORTH", "EAST"]\nwork = "equal"')
    ),
    "state-travels": Golden(
        _study('["swt", "fedavg"]', recipe='optimiser_state = "travel"\nschedule = "cosine"')
    ),
    "state-stays": Golden(_study(recipe='optimiser_state = "stay"\noptimiser = "adamw"')),
    "average-ema": Golden(
        _study(recipe='average = "ema"\naverage_decay = 0.9\nrecalibrate_batchnorm = true' + FEW)
    ),
    "average-trail": Golden(_study(recipe='average = "last_round"\norder = "there-and-back"')),
    "recalibrated": Golden(
        _study(
            '["swt", "fedprox", "pooled"]',
            recipe="recalibrate_batchnorm = true\nrecalibration_slices = 9\nfedprox_mu = 0.1",
        )
    ),
    "best-round": Golden(_study(evaluation='choose = "best"')),
    "worst-site": Golden(_study('["swt"]', evaluation='choose = "worst-site"\nfollow = "visit"')),
    "chunks": Golden(
        _study(
            data='sites = "chunks:2"\ntrain_slices = 7\nslices = "positive"\n', recipe="epochs = 2"
        )
    ),
    "left-out": Golden(_study('["swt"]', data="split_seed = 4\n"), leave_out=True),
    "cluster": Golden(
        _study('["swt"]', courier='kind = "cluster"', recipe="recalibrate_batchnorm = true" + FEW),
        needs="cluster",
    ),
    "resnext-in-bfloat16": Golden(
        _study(
            '["swt"]',
            FULL,
            encoder="resnext50_32x4d",
            data='crop = "brain"\nintensity = "percentile"\nsize = 96\n',
            evaluation="test_time_augmentation = true\nthreshold = 0.2",
        )
    ),
    "phantom": Golden(
        _study('["swt"]', FULL, data='crop = "brain"\n', encoder="resnet18"),
        data="phantom",
        needs="phantom",
    ),
    "lgg": Golden(
        _study(
            '["swt"]',
            FULL,
            encoder="resnet18",
            data='crop = "brain"\nsize = 64\n',
            evaluation="test_time_augmentation = true",
        ),
        data="lgg",
    ),
    "lgg-resnext": Golden(
        _study('["swt"]', encoder="resnext50_32x4d", data="size = 64\n"), data="lgg"
    ),
    "sealed": Golden(_study('["cwt"]', 'order = "shuffled"', encoder="resnet18"), network=True),
    "sealed-for-owner": Golden(_study('["swt"]', courier='seal = "owner"'), network=True),
    "open-network": Golden(
        _study('["fedavg"]', "recalibrate_batchnorm = true" + FEW, courier='seal = "none"'),
        network=True,
    ),
    "skipped": Golden(_study('["cwt"]', courier='absent = "skip"'), network=True, away="NORTH"),
    "deferred": Golden(
        _study('["cwt"]', courier='absent = "defer"\ndefer_after = 0.02'),
        network=True,
        away="EAST",
    ),
}
