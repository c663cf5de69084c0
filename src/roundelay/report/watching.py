"""A run's report on loopback, in a browser that reloads it when it changes."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from roundelay.errors import UserError
from roundelay.files.mishap import why
from roundelay.files.regular import plain_bytes
from roundelay.records.layout import REPORT, read_record
from roundelay.records.left_out_claims import runs_below

LOOPBACK = "127.0.0.1"
STAMP = "/stamp"
SECONDS = 2

RELOADING = f"""<script>
let seen = null;
setInterval(async () => {{
  try {{
    const stamp = await (await fetch("{STAMP}", {{cache: "no-store"}})).text();
    if (seen !== null && stamp !== seen) location.reload();
    seen = stamp;
  }} catch {{
    if (!document.title.startsWith("(")) document.title = "(not watched) " + document.title;
  }}
}}, {SECONDS * 1000});
</script>
</body>"""

WAITING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"><title>Roundelay report</title></head>
<body style="font:16px system-ui,sans-serif;margin:2rem"><p>There is no report yet. It appears
here when the first round ends; of folds, or of hospitals left out in turn, when the first of their
runs ends. Each of them has a report of its own before: watch its folder.</p>
</body></html>
"""

UNREADABLE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Roundelay report</title></head>
<body><p>{why}</p></body></html>
"""


@contextmanager
def watched(run: Path, *, port: int = 0) -> Iterator[str]:
    """Serve ``report.html`` of a run folder on loopback; yields its address.

    Nothing else of the folder is served, and no request that names another host is answered: a
    page from elsewhere can't reach it under a name of its own. Port 0 is any free one. Of several
    runs (folds, hospitals left out in turn) it is the page over all of them. Raises RunFolderError
    where `run` holds neither run nor report, UserError where the port is taken.
    """
    if not (run / REPORT).exists() and not runs_below(run):
        read_record(run)
    try:
        server = _Server(run / REPORT, port)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"Port {port} can't be used on {LOOPBACK} ({error}). Choose another --port."
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, page: Path, port: int) -> None:
        self.page = page
        super().__init__((LOOPBACK, port), _Answer)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of a browser that left in the middle of an answer there is nothing to tell."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Answer(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        hosts = {f"{host}:{self.server.server_port}" for host in (LOOPBACK, "localhost")}
        if self.headers.get("Host") not in hosts:
            self._send(HTTPStatus.FORBIDDEN, "text/plain", "Only this machine may read it.")
        elif self.path == STAMP:
            self._send(HTTPStatus.OK, "text/plain", _stamp(self.server.page))
        elif self.path == "/":
            text = _read(self.server.page).replace("</body>", RELOADING)
            self._send(HTTPStatus.OK, "text/html", text)
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", "Only the report is here.")

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Requests are nobody's business."""


def _read(page: Path) -> str:
    try:
        return plain_bytes(page).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return WAITING
    except OSError as error:
        return UNREADABLE.format(why=escape(f"{page.name} can't be read: {why(error)}."))


def _stamp(page: Path) -> str:
    """Changes whenever the page was written again: it is renamed into place each time."""
    try:
        state = page.stat()
    except OSError:
        return "none"
    return f"{state.st_ino}-{state.st_mtime_ns}"
