"""Calls over NVIDIA FLARE's cells: a few values, and bytes that stay bytes.

Both ends of a connection show certificates. The server takes a message with a token that it signed
for its sender's name; ours it takes where the connection's certificate has that name, too.
"""

from typing import Any

from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, MessagePropKey, ReturnCode
from nvflare.fuel.f3.message import Message
from nvflare.private.defs import CellMessageHeaderKeys

from roundelay.errors import RefusedError
from roundelay.network.flare.blobs import PIECE
from roundelay.network.wire.parsing import shown

CHANNEL, SERVER, WAKE, FETCH = "roundelay", "server", "wake", "fetch"

VALUES, REFUSED = "roundelay-values", "roundelay-refused"

CALL_SECONDS, SLOWEST = 15.0, 1 << 16
"""A call that has no reply after so long, and longer by its bytes at so many a second, is made
again."""

BROKEN = {ReturnCode.PROCESS_EXCEPTION, ReturnCode.INVALID_REQUEST}


class UnreachableError(ConnectionError):
    """The server doesn't answer; it may later."""


def call(
    cell: Any, topic: str, values: dict[str, Any], data: bytes = b""
) -> tuple[dict[str, Any], bytes]:
    """One call to the server. Raises UnreachableError where none answers, RefusedError where it
    says no."""
    moving = len(data) + PIECE * (topic == FETCH)
    reply = cell.core_cell.send_request(
        channel=CHANNEL, topic=topic, target=SERVER, request=Message({VALUES: values}, data),
        timeout=CALL_SECONDS + moving / SLOWEST, optional=True,
    )  # fmt: skip
    code = reply.get_header(MessageHeaderKey.RETURN_CODE)
    if code in BROKEN:
        raise RefusedError("The network's server failed; its log (roundelay/log.txt) says more.")
    if code != ReturnCode.OK:
        raise UnreachableError(shown(code))
    if refused := reply.get_header(REFUSED):
        raise RefusedError(shown(refused))
    values, data = said(reply)
    if not isinstance(values, dict):
        raise RefusedError("The network's server answered what can't be read.")
    return values, data


def said(message: Any) -> tuple[Any, bytes]:
    """The values and the bytes of a call, or of its reply. Raises RefusedError where the bytes are
    none: a message may be packed so that anything else comes in their place."""
    data = b"" if message.payload is None else message.payload
    if not isinstance(data, bytes | bytearray | memoryview):
        raise RefusedError("A message came with something else in the place of its bytes.")
    return message.get_header(VALUES), bytes(data)


def wake(cell: Any, site: str) -> None:
    """Tell a site to ask at once what there is; one that doesn't hear it asks soon by itself."""
    cell.core_cell.fire_and_forget(
        channel=CHANNEL, topic=WAKE, targets=[site], message=Message({}, b""), optional=True
    )


def sender(message: Any) -> str:
    """Whose message it is. Raises RefusedError where token and certificate differ."""
    name = message.get_header(CellMessageHeaderKeys.CLIENT_NAME)
    if not isinstance(name, str) or name != message.get_prop(MessagePropKey.COMMON_NAME):
        raise RefusedError("The certificate of this connection has another name.")
    return name


def reply_of(values: dict[str, Any], data: bytes) -> Any:
    return Message({MessageHeaderKey.RETURN_CODE: ReturnCode.OK, VALUES: values}, data)


def refusal(error: RefusedError) -> Any:
    return Message({MessageHeaderKey.RETURN_CODE: ReturnCode.OK, REFUSED: str(error)}, b"")
