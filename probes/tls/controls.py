"""All TLS controls. Pure: facts and parameters in, verdicts out; nothing here loads network code."""

from __future__ import annotations

from keycheck.model.control import Control
from probes.tls.certificate_controls import Certificate, Chain, Revocation
from probes.tls.negotiation_controls import Groups, PostQuantum, Protocols, Suites
from probes.tls.session_controls import ClientAuth, Compression, EarlyData, Hsts, Renegotiation

CONTROLS: tuple[type[Control], ...] = (
    Protocols,
    Suites,
    Groups,
    PostQuantum,
    Certificate,
    Chain,
    Revocation,
    Hsts,
    EarlyData,
    Renegotiation,
    Compression,
    ClientAuth,
)
"""Every control that a profile can name as `tls.…`."""
