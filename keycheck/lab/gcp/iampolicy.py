"""google.iam.v1.IAMPolicy on the resources of Cloud KMS, and the same three methods of Resource Manager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from google.iam.v1 import iam_policy_pb2, policy_pb2  # type: ignore[import-untyped]

from keycheck.lab.gcp.calls import Call
from keycheck.lab.gcp.errors import KMS_DOMAIN, invalid
from keycheck.lab.gcp.iam import Iam
from keycheck.lab.gcp.policies import accepted, answered

_MOST_BYTES: Final = 64 * 1024
Exists: TypeAlias = Callable[[str], None]
"""Raises NOT_FOUND for a resource that is not."""


def _anything(resource: str) -> None:
    del resource


class PolicyDoor:
    """getIamPolicy, setIamPolicy and testIamPermissions of one resource whose permissions begin with a `prefix`
    (`cloudkms.cryptoKeys`)."""

    def __init__(self, iam: Iam) -> None:
        self._iam = iam

    def get(
        self,
        call: Call,
        request: iam_policy_pb2.GetIamPolicyRequest,
        prefix: str,
        domain: str = KMS_DOMAIN,
        exists: Exists = _anything,
    ) -> policy_pb2.Policy:
        call.require(f"{prefix}.getIamPolicy", request.resource, domain)
        exists(request.resource)
        return answered(self._iam.policy(request.resource), request.options.requested_policy_version)

    def set(
        self,
        call: Call,
        request: iam_policy_pb2.SetIamPolicyRequest,
        prefix: str,
        domain: str = KMS_DOMAIN,
        exists: Exists = _anything,
    ) -> policy_pb2.Policy:
        call.require(f"{prefix}.setIamPolicy", request.resource, domain)
        exists(request.resource)
        if request.ByteSize() > _MOST_BYTES:
            raise invalid("The policy is too large.")
        current = self._iam.policy(request.resource)
        wanted = accepted(request.policy, current, tuple(request.update_mask.paths))
        for grant in wanted.grants:
            if not self._iam.known_role(grant.role):
                raise invalid(f"Role {grant.role} is not supported for this resource.")
        stored = self._iam.put(request.resource, wanted)
        return answered(stored, request.policy.version)

    def test(
        self, call: Call, request: iam_policy_pb2.TestIamPermissionsRequest
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        """Needs no permission, and does not count as use of those that it tests."""
        if any("*" in each for each in request.permissions) or len(request.permissions) > 100:
            raise invalid("Permissions must be named one by one, at most 100.")
        held = [each for each in request.permissions if self._iam.allows(call.principal, each, request.resource)]
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)
