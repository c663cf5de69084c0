"""An errand as a job of NVIDIA FLARE: a folder of its own shape."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundelay.network.wire.transport import Errand

REQUEST, ANSWER = "request.bin", "answer.bin"


@contextmanager
def job_folder(errand: Errand, name: str) -> Iterator[Path]:
    """The job as FLARE wants it: the request lies in the server's part, nothing in the site's."""
    server = {"id": "carry", "path": "roundelay.network.flare.carrying.Carry"}
    door = {"path": "roundelay.network.flare.carrying.Door", "args": {"learns": errand.learns}}
    with tempfile.TemporaryDirectory(prefix="roundelay-") as place:
        folder = Path(place) / name
        meta = {
            "name": name, "min_clients": 1, "mandatory_clients": [errand.site],
            "deploy_map": {"app_server": ["server"], "app_site": [errand.site]},
            "resource_spec": {},
        }  # fmt: skip
        configs = {
            "app_server/config/config_fed_server.json": {
                "format_version": 2,
                "workflows": [{**server, "args": {"site": errand.site}}],
            },
            "app_site/config/config_fed_client.json": {
                "format_version": 2,
                "executors": [{"tasks": ["answer"], "executor": door}],
            },
            "meta.json": meta,
        }
        for path, value in configs.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(json.dumps(value))
        (folder / "app_server" / "config" / REQUEST).write_bytes(errand.request)
        yield folder
        shutil.rmtree(folder)
