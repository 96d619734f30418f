"""All formats, those first that one value shows beyond doubt, those last that only a column can show."""

from __future__ import annotations

from typing import Final

from probes.fields.formats import (
    age,
    always_encrypted,
    aws_kms,
    ciphersweet,
    cloak,
    cose,
    dbesdk,
    defuse,
    esdk,
    fernet,
    gcp_kms,
    ironcore,
    jose,
    laravel,
    mongo,
    openpgp,
    pme,
    rails,
    s3ec,
    salted,
    sops,
    tink,
    vault,
)
from probes.fields.formats.seam import Format

FORMATS: Final[tuple[Format, ...]] = (
    esdk.FORMAT,
    dbesdk.FORMAT,
    aws_kms.FORMAT,
    gcp_kms.FORMAT,
    s3ec.FORMAT,
    jose.FORMAT,
    cose.FORMAT,
    vault.FORMAT,
    rails.FORMAT,
    sops.FORMAT,
    pme.FORMAT,
    age.FORMAT,
    fernet.FORMAT,
    laravel.FORMAT,
    ciphersweet.FORMAT,
    cloak.FORMAT,
    defuse.FORMAT,
    openpgp.FORMAT,
    *salted.FORMATS,
    ironcore.FORMAT,
    mongo.FORMAT,
    tink.FORMAT,
    always_encrypted.FORMAT,
)
FORMATS_BY_ID: Final = {each.id: each for each in FORMATS}


def by_id(name: str) -> Format | None:
    """The format of this name, as field maps write it; None where there is none."""
    return FORMATS_BY_ID.get(name)
