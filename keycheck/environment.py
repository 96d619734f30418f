"""Neutralises an ambient OpenSSL configuration, which would change what this side offers and so what it sees.

Measured: with ``Groups = secp384r1`` in a file named by OPENSSL_CONF, the OpenSSL inside ``cryptography`` offers that
group alone, and a post-quantum server looks as if it were none. OpenSSL reads the file once, when it is loaded.
**Call** ``neutralise_openssl_conf(os.environ)`` **before anything imports** ``cryptography`` **or** ``OpenSSL``, first
thing in the process; this module imports neither. When it reports ``too_late`` and found something, no call can undo
it: start a fresh process (``os.execve`` or ``subprocess`` with ``environ``, which is clean now), or record the
evidence as influenced. Worker processes inherit the clean environment.
"""

import os
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass

#: What OpenSSL reads: configuration, its include path, where providers and engines are loaded from, processor
#: features, and (in builds with that option) where to log session secrets.
VARIABLES = (
    "OPENSSL_CONF",
    "OPENSSL_CONF_INCLUDE",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "OPENSSL_ia32cap",
    "OPENSSL_armcap",
    "SSLKEYLOGFILE",
)

_BINDINGS = ("cryptography.hazmat.bindings._rust", "OpenSSL.SSL")


@dataclass(frozen=True, slots=True)
class Neutralised:
    """What the environment held. Record ``found``: names and values, in the order of ``VARIABLES``."""

    found: tuple[tuple[str, str], ...]
    too_late: bool  # OpenSSL had been loaded already, so that what was found has taken effect


def neutralise_openssl_conf(environ: MutableMapping[str, str]) -> Neutralised:
    """Take OpenSSL's variables out of ``environ`` and say what was there.

    OPENSSL_CONF is set to the null device rather than removed: without it OpenSSL reads the file compiled into
    the build, which a distribution's policy may have filled (a distribution's ``cryptography`` uses /etc/ssl).
    Doing it twice finds nothing the second time.
    """
    found = tuple(
        (name, value)
        for name in VARIABLES
        if (value := environ.get(name)) is not None and (name, value) != ("OPENSSL_CONF", os.devnull)
    )
    for name in VARIABLES:
        environ.pop(name, None)
    environ["OPENSSL_CONF"] = os.devnull
    return Neutralised(found, too_late=any(name in sys.modules for name in _BINDINGS))
