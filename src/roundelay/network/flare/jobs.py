"""A request as a job of NVIDIA FLARE: a folder of its own shape."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundelay.network.wire.transport import Request

REQUEST, ANSWER = "request.bin", "answer.bin"


@contextmanager
def job_folder(request: Request, name: str) -> Iterator[Path]:
    """The job as FLARE wants it: the request lies in the server's part, nothing in the site's."""
    server = {"id": "carry", "path": "roundelay.network.flare.carrying.ServerController"}
    executor = {
        "path": "roundelay.network.flare.carrying.SiteExecutor",
        "args": {"needs_torch": request.needs_torch},
    }
    with tempfile.TemporaryDirectory(prefix="roundelay-") as place:
        folder = Path(place) / name
        meta = {
            "name": name, "min_clients": 1, "mandatory_clients": [request.site],
            "deploy_map": {"app_server": ["server"], "app_site": [request.site]},
            "resource_spec": {},
        }  # fmt: skip
        configs = {
            "app_server/config/config_fed_server.json": {
                "format_version": 2,
                "workflows": [{**server, "args": {"site": request.site}}],
            },
            "app_site/config/config_fed_client.json": {
                "format_version": 2,
                "executors": [{"tasks": ["answer"], "executor": executor}],
            },
            "meta.json": meta,
        }
        for path, value in configs.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(json.dumps(value))
        (folder / "app_server" / "config" / REQUEST).write_bytes(request.message)
        yield folder
        shutil.rmtree(folder)
