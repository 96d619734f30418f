"""The realm that a region belongs to, by its name: published ranges name regions, not partitions. Pure.

Sources: botocore `partitions.json` (regular expressions of Region names); Azure's environments; Oracle's realms.
"""

from __future__ import annotations

import re
from typing import Final

from probes.places import realms
from probes.places.oci_regions import REALM_OF

_BY_NAME: Final = (
    ("aws", re.compile(r"eusc-[a-z]{2}-.+"), realms.AWS_EUSC),
    ("aws", re.compile(r"us-gov-.+"), realms.AWS_GOV),
    ("aws", re.compile(r"cn-.+"), realms.AWS_CN),
    ("aws", re.compile(r"eu-isoe-.+"), realms.AWS_ISO_E),
    ("aws", re.compile(r"us-isob-.+"), realms.AWS_ISO_B),
    ("aws", re.compile(r"us-isof-.+"), realms.AWS_ISO_F),
    ("aws", re.compile(r"us-iso-.+"), realms.AWS_ISO),
    ("aws", re.compile(r".+"), realms.AWS),
    ("gcp", re.compile(r"u-france-.+"), realms.S3NS),
    ("gcp", re.compile(r".+"), realms.GOOGLE),
    ("azure", re.compile(r"usgov.+|usdod.+"), realms.AZURE_GOV),
    ("azure", re.compile(r"china.+"), realms.AZURE_CN),
    ("azure", re.compile(r"bleufrance.+"), realms.BLEU),
    ("azure", re.compile(r".+"), realms.AZURE),
)

REALM_NAMES: Final = frozenset(realm.name for realm in realms.REALMS)
"""Names that a contract can use."""


def realm_of_region(provider: str, region: str) -> str | None:
    """The realm's name; None for a provider without realms here, or a region of Oracle's that the table does not hold:
    its name does not tell the realm."""
    if provider == "oci":
        return REALM_OF[region].lower() if region in REALM_OF else None
    return next(
        (realm.name for name, pattern, realm in _BY_NAME if name == provider and pattern.fullmatch(region)), None
    )
