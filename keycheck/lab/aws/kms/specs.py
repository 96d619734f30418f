"""Which kinds of key there are, and what each may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_OAEP: Final = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
_RSA_SIGN: Final = tuple(
    f"RSASSA_{padding}_SHA_{size}" for padding in ("PKCS1_V1_5", "PSS") for size in (256, 384, 512)
)


class Kind(Enum):
    """Families of keys."""

    SYMMETRIC = auto()
    RSA = auto()
    ECC = auto()
    EDWARDS = auto()
    HMAC = auto()
    ML_DSA = auto()
    ML_KEM = auto()


@dataclass(frozen=True, slots=True)
class Spec:
    """A key spec: its algorithms by key usage, the first usage being the default where there is one."""

    name: str
    kind: Kind
    size: int
    """Bits of the modulus or curve, or octets of an HMAC key."""
    usages: dict[str, tuple[str, ...]]

    def algorithms(self, usage: str) -> tuple[str, ...]:
        """That a key of this spec and usage takes."""
        return self.usages.get(usage, ())


def _ecc(name: str, size: int, signature: str, *, agrees: bool = True) -> Spec:
    usages: dict[str, tuple[str, ...]] = {"SIGN_VERIFY": (signature,)}
    if agrees:
        usages["KEY_AGREEMENT"] = ("ECDH",)
    return Spec(name, Kind.ECC, size, usages)


_ALL: Final = (
    Spec("SYMMETRIC_DEFAULT", Kind.SYMMETRIC, 256, {"ENCRYPT_DECRYPT": ("SYMMETRIC_DEFAULT",)}),
    *(
        Spec(f"RSA_{size}", Kind.RSA, size, {"ENCRYPT_DECRYPT": _OAEP, "SIGN_VERIFY": _RSA_SIGN})
        for size in (2048, 3072, 4096)
    ),
    _ecc("ECC_NIST_P256", 256, "ECDSA_SHA_256"),
    _ecc("ECC_NIST_P384", 384, "ECDSA_SHA_384"),
    _ecc("ECC_NIST_P521", 521, "ECDSA_SHA_512"),
    _ecc("ECC_SECG_P256K1", 256, "ECDSA_SHA_256", agrees=False),
    Spec("ECC_NIST_EDWARDS25519", Kind.EDWARDS, 256, {"SIGN_VERIFY": ("ED25519_SHA_512", "ED25519_PH_SHA_512")}),
    *(
        Spec(f"HMAC_{bits}", Kind.HMAC, octets, {"GENERATE_VERIFY_MAC": (f"HMAC_SHA_{bits}",)})
        for bits, octets in ((224, 28), (256, 32), (384, 48), (512, 64))
    ),
    *(Spec(f"ML_DSA_{n}", Kind.ML_DSA, n, {"SIGN_VERIFY": ("ML_DSA_SHAKE_256",)}) for n in (44, 65, 87)),
    *(Spec(f"ML_KEM_{n}", Kind.ML_KEM, n, {"ENCAPSULATE_DECAPSULATE": ("ML_KEM",)}) for n in (768, 1024)),
)
SPECS: Final = {spec.name: spec for spec in _ALL}
"""SM2 (China regions) and ML_KEM_512 are not offered."""
ALGORITHM_FIELDS: Final = {
    "ENCRYPT_DECRYPT": "EncryptionAlgorithms",
    "SIGN_VERIFY": "SigningAlgorithms",
    "GENERATE_VERIFY_MAC": "MacAlgorithms",
    "KEY_AGREEMENT": "KeyAgreementAlgorithms",
    "ENCAPSULATE_DECAPSULATE": "EncapsulationAlgorithms",
}
"""Where DescribeKey and GetPublicKey name them."""
