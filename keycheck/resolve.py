"""Names to addresses through the system's resolver. A parameter of probes, never a global."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason

_TRY_AGAIN = {socket.EAI_AGAIN, getattr(socket, "EAI_SYSTEM", socket.EAI_AGAIN)}


def system_resolver(host: str, seconds: float) -> Sequence[str]:
    """Every IPv4 and IPv6 address of `host`, in the order of the answer, without doubles.

    One resolver's view, at one moment: other clients may be told other addresses. The C library bounds the
    time itself; a caller's engine gives up after its own budget. Raises ProbeError(unreachable).
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        again = error.errno in _TRY_AGAIN
        reason = Reason.TIMEOUT if again else Reason.UNREACHABLE
        raise ProbeError(reason, f"{host} does not resolve: {error.strerror}") from error
    except (OSError, UnicodeError) as error:
        raise ProbeError(Reason.UNREACHABLE, f"{host} does not resolve: {error}") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
