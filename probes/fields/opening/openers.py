"""Which formats can be opened under an unwrapped data key, and what to ask the vendor for where none can be."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.fields.formats import aws_kms, dbesdk, esdk, gcp_kms, mongo, pme, s3ec, sops, tink, vault
from probes.fields.formats.seam import Parsed
from probes.fields.opening.esdk_open import open_message
from probes.fields.opening.sealed import Opener
from probes.fields.opening.tink_open import open_envelope

OPENERS: Final[Mapping[str, Opener]] = MappingProxyType({esdk.ID: open_message, tink.ID: open_envelope})
"""By the format's id."""
DIRECT: Final = frozenset({aws_kms.ID, gcp_kms.ID})
"""Formats whose values the key service itself decrypts."""

_DEFAULT: Final = (
    "ask the vendor to decrypt the drawn rows before witnesses, or for data keys wrapped by the customer's key, which "
    "the customer can unwrap"
)
_ASK: Final[Mapping[str, str]] = MappingProxyType(
    {
        mongo.ID: "ask the vendor for the key vault's documents of the drawn key ids: the wrapped data keys are there",
        dbesdk.ID: "keycheck measures the data keys in `aws_dbe_head` and does not derive an attribute's key from its "
        "item's; ask the vendor to decrypt the drawn items before witnesses, and of a hierarchical keyring for the "
        "branch keys' items in the key store",
        sops.ID: "ask the vendor for the document's `sops` member: the wrapped data key is there",
        s3ec.ID: "keycheck measures the data keys in the metadata and does not read the objects that it belongs to; "
        "ask the vendor to decrypt the drawn objects before witnesses",
        vault.ID: "ask the vendor for the settings of the transit key (`vault read transit/keys/NAME`) and of "
        "the seal: the key is Vault's own",
        pme.ID: "ask the vendor for each column's `key_metadata` and the master key that it names",
    }
)


_ASK_BY_PROVIDER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aws-kms-hierarchy": "ask the vendor for the branch keys' items in the key store, which the customer's key "
        "wraps",
        "tink": "ask the vendor for the keyset that wraps the data keys, itself wrapped by the customer's key",
        "azure-key-vault": "keycheck does not ask Azure Key Vault; ask the vendor to decrypt the drawn rows before "
        "witnesses",
    }
)


def request(parsed: Parsed) -> str:
    """What to write to the vendor of a value that cannot be opened here."""
    by_provider = (_ASK_BY_PROVIDER.get(each.provider) for each in parsed.wrapped)
    words = next(filter(None, by_provider), None) or _ASK.get(parsed.format, _DEFAULT)
    return (
        f"values of the format {parsed.format} hold no data key that the customer's key service wrapped and that "
        f"keycheck can use: {words}"
    )
