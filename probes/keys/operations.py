"""What the operations that logs name do with a key. Pure.

Sources: the API references of Cloud KMS (every method of its services) and AWS KMS; KMS Developer Guide, "Logging AWS
KMS API calls with AWS CloudTrail".
"""

from __future__ import annotations

from typing import Final, Literal

from probes.keys.aws_actions import ELSEWHERE, POWER_OF
from probes.keys.powers import Power

_GCP_USES: Final = frozenset(
    "Encrypt Decrypt RawEncrypt RawDecrypt AsymmetricDecrypt AsymmetricSign MacSign MacVerify Decapsulate".split()  # noqa: SIM905
)
_GCP_LOOKS: Final = frozenset(
    {
        "GetKeyRing", "GetCryptoKey", "GetCryptoKeyVersion", "GetPublicKey", "GetImportJob", "GetRetiredResource",
        "GetEkmConnection", "GetEkmConfig", "GetKeyHandle", "GetAutokeyConfig", "ShowEffectiveAutokeyConfig",
        "GetSingleTenantHsmInstance", "GetSingleTenantHsmInstanceProposal", "GetIamPolicy", "GetLocation",
        "GetOperation", "ListKeyRings", "ListCryptoKeys", "ListCryptoKeyVersions", "ListImportJobs",
        "ListRetiredResources", "ListEkmConnections", "ListKeyHandles", "ListSingleTenantHsmInstances",
        "ListSingleTenantHsmInstanceProposals", "ListLocations", "TestIamPermissions", "VerifyConnectivity",
        "GenerateRandomBytes",
    }
)  # fmt: skip
_GCP_MANAGES: Final = frozenset(
    {
        "CreateKeyRing", "CreateCryptoKey", "CreateCryptoKeyVersion", "CreateImportJob", "CreateEkmConnection",
        "CreateKeyHandle", "CreateSingleTenantHsmInstance", "CreateSingleTenantHsmInstanceProposal",
        "ApproveSingleTenantHsmInstanceProposal", "ExecuteSingleTenantHsmInstanceProposal",
        "DeleteSingleTenantHsmInstanceProposal", "UpdateCryptoKey", "UpdateCryptoKeyVersion",
        "UpdateCryptoKeyPrimaryVersion", "UpdateEkmConnection", "UpdateEkmConfig", "UpdateAutokeyConfig",
        "DestroyCryptoKeyVersion", "RestoreCryptoKeyVersion", "ImportCryptoKeyVersion",
        "ImportTrustedKeyWrappedCryptoKeyVersion", "DeleteCryptoKey", "DeleteCryptoKeyVersion", "SetIamPolicy",
    }
)  # fmt: skip
_BY_AWS: Final = frozenset({"RotateKey", "DeleteKey", "DeleteExpiredKeyMaterial"})
"""Names in CloudTrail of what the service itself does."""


def kind_of(provider: Literal["aws", "gcp"], operation: str) -> Literal["use", "manage", "look", "unknown"]:
    """Whether an operation uses a key, changes something, or only looks; `unknown`: the tables do not hold it."""
    name = operation.rpartition(".")[2]
    if provider == "gcp":
        if name in _GCP_USES or name.startswith("useVersionTo"):  # as entries with justifications name it
            return "use"
        return "manage" if name in _GCP_MANAGES else "look" if name in _GCP_LOOKS else "unknown"
    if name == "ReEncrypt" or POWER_OF.get(name) is Power.USE:
        return "use"
    if name in _BY_AWS:
        return "look"
    if POWER_OF.get(name, Power.READ) is not Power.READ:
        return "manage"
    return "look" if name in POWER_OF or name in ELSEWHERE else "unknown"
