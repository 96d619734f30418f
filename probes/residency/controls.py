"""All controls over residency, by the first segment of their ids. Pure: nothing here touches the world."""

from __future__ import annotations

from keycheck.model.control import Control
from probes.residency.endpoint_controls import Endpoints, Realm
from probes.residency.flow_controls import Inference, OperatorControl, Subprocessors
from probes.residency.origin_control import Origin
from probes.residency.steering_controls import Anycast, Steering
from probes.residency.store_controls import Backups, Copies, Stores

CONTROLS: tuple[type[Control], ...] = (
    Endpoints,
    Realm,
    Stores,
    Copies,
    Backups,
    Inference,
    Steering,
    Anycast,
    Origin,
    Subprocessors,
    OperatorControl,
)
"""Every control that a profile can name as `residency.…`."""
