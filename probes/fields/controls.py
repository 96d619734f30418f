"""All controls over data sets. Pure: facts and parameters in, verdicts out; nothing here loads a reader or an SDK."""

from __future__ import annotations

from keycheck.model.control import Control
from probes.fields.binding_controls import Commitment, Context
from probes.fields.coverage_control import Coverage
from probes.fields.data_key_controls import DataKeyLength, Escrow, WrappingKey
from probes.fields.leak_controls import Deterministic, LengthLeak, Plaintext
from probes.fields.opening_controls import Tag, Tamper
from probes.fields.recognition_controls import Algorithm, Encrypted
from probes.fields.revoked_control import Revoked
from probes.fields.use_controls import DataKeyUse, Nonce, Rotation

CONTROLS: tuple[type[Control], ...] = (
    Encrypted,
    Algorithm,
    DataKeyLength,
    WrappingKey,
    Escrow,
    Nonce,
    DataKeyUse,
    Context,
    Commitment,
    Rotation,
    Deterministic,
    LengthLeak,
    Tag,
    Tamper,
    Plaintext,
    Coverage,
    Revoked,
)
"""Every control that a profile can name as `fields.…`."""
