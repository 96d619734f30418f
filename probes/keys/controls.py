"""All controls over keys. Pure: facts and parameters in, verdicts out; nothing here loads network code or an SDK."""

from __future__ import annotations

from keycheck.model.control import Control
from probes.keys.deletion_control import DeletionWindow
from probes.keys.drill_controls import AvailabilityCopy, Recovery, Revocation
from probes.keys.grant_control import Grants
from probes.keys.hsm_controls import KeyAttestation, KeyJustifications
from probes.keys.location_control import Location
from probes.keys.log_controls import Logging, Use
from probes.keys.material_controls import MaterialAge, MaterialExpiry
from probes.keys.origin_controls import Algorithm, CustomerManaged, Origin, Protection
from probes.keys.policy_controls import Policy, Separation
from probes.keys.rotation_controls import Escrow, Rotation

CONTROLS: tuple[type[Control], ...] = (
    CustomerManaged,
    Origin,
    Algorithm,
    Protection,
    KeyAttestation,
    Location,
    MaterialAge,
    MaterialExpiry,
    Policy,
    Grants,
    Separation,
    DeletionWindow,
    Logging,
    Use,
    KeyJustifications,
    Revocation,
    Recovery,
    AvailabilityCopy,
    Rotation,
    Escrow,
)
"""Every control that a profile can name as `keys.…`."""
