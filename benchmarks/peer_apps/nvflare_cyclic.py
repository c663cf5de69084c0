"""Cyclic weight transfer by the recipe of NVIDIA FLARE: simulator, or processes on one machine."""

import os
import sys
from pathlib import Path

from nvflare.app_opt.pt.recipes.cyclic import CyclicRecipe
from nvflare.recipe import PocEnv, SimEnv

ENCODER, SITES, ROUNDS = os.environ["ENCODER"], int(os.environ["SITES"]), int(os.environ["ROUNDS"])

recipe = CyclicRecipe(
    model={"path": "shared.Net", "args": {"encoder": ENCODER}},
    num_rounds=ROUNDS,
    min_clients=SITES,
    train_script=str(Path(__file__).with_name("nvflare_client.py")),
    task_assignment_timeout=120,
)
environment = (
    SimEnv(num_clients=SITES, workspace_root=sys.argv[2])
    if sys.argv[1] == "simulator"
    else PocEnv(num_clients=SITES)
)
run = recipe.execute(environment)
print(run.get_result())
