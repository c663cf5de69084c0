"""Cyclic weight transfer in Flower's simulation: the server asks one node after the other."""

import os
import time

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from shared import Net, train_step, visited

ENCODER, SITES, ROUNDS = os.environ["ENCODER"], int(os.environ["SITES"]), int(os.environ["ROUNDS"])

client, server = ClientApp(), ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    model = Net(ENCODER)
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    seconds = train_step(model, int(context.node_config["partition-id"]))
    visited(seconds)
    content = {
        "arrays": ArrayRecord(model.state_dict()),
        "metrics": MetricRecord({"seconds": seconds}),
    }
    return Message(content=RecordDict(content), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    while len(nodes := list(grid.get_node_ids())) < SITES:
        time.sleep(0.05)
    arrays = ArrayRecord(Net(ENCODER).state_dict())
    for _ in range(ROUNDS):
        for node in nodes:
            message = Message(RecordDict({"arrays": arrays}), node, "train")
            [reply] = grid.send_and_receive([message])
            arrays = reply.content["arrays"]


run_simulation(
    server_app=server,
    client_app=client,
    num_supernodes=SITES,
    backend_config={"client_resources": {"num_cpus": os.cpu_count() or 1}},
)
