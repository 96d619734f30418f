"""TLS 1.3 early data on the server's side, which pyOpenSSL has no public call for.

Reaches through to the OpenSSL functions of the same names; nothing else in the lab does.
"""

from __future__ import annotations

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

_ERROR, _SUCCESS, _FINISH = 0, 1, 2
_SIZE = 16_384


def allow_early_data(context: SSL.Context, limit: int) -> None:
    """Let tickets of this context carry ``limit`` bytes of early data."""
    lib.SSL_CTX_set_max_early_data(context._context, limit)


def read_early_data(connection: SSL.Connection) -> bytes | None:
    """Some early data, None when there is no more. Raise SSL.WantReadError or SSL.Error."""
    buffer = ffi.new("char[]", _SIZE)
    count = ffi.new("size_t *")
    state = lib.SSL_read_early_data(connection._ssl, buffer, _SIZE, count)
    if state == _ERROR:
        connection._raise_ssl_error(connection._ssl, 0)
    return None if state == _FINISH else bytes(ffi.buffer(buffer, count[0]))
