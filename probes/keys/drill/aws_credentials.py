"""How long an identity's credentials last: who restores must be able to until the end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from keycheck.model.deployment import AwsIdentity
from keycheck.model.probe import Io
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.errors import answering
from probes.clouds.aws.sessions import session_for

_RENEW: Final = frozenset({"iam-role", "container-role", "assume-role", "assume-role-with-web-identity"})
"""Methods of the SDK that get new credentials by themselves, with nobody signing in."""


def lasts(io: Io, ref: str | None, arn: KmsArn, until: datetime) -> str | None:
    """None: the credentials work until then, or are renewed with nobody's help; otherwise why that is not known.

    Of a role that the deployment names, the credentials that assume it count. A session without a stated end counts as
    ending any moment. Raises ProbeError.
    """
    identity = next((item for item in io.identities if item.id == ref and isinstance(item, AwsIdentity)), None)
    source = identity.model_copy(update={"role_arn": None}) if isinstance(identity, AwsIdentity) else None
    with answering("credentials", f"identity {ref or 'of the environment'}", arn.region):
        credentials = session_for(io, source, arn.region).get_credentials()
        if credentials is None:
            return "there are none"
        if credentials.method in _RENEW:
            return None
        if credentials.get_frozen_credentials().token is None:
            return None
    # The SDK has no public door to the end of a session.
    ends = getattr(credentials, "_expiry_time", None)
    if not isinstance(ends, datetime) or ends.tzinfo is None:
        return "they are a session whose end is not stated; use a role that is assumed, or long-lived credentials"
    if ends < until:
        at = ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"they end at {at}; sign in again before the drill, or shorten it"
    return None
