"""Sovereign realms: which cloud's separate installation a host name, an ARN or an OCID belongs to. Pure.

A realm is an installation with an identity system of its own: a partition of AWS, a universe of Google, a sovereign
cloud on Azure, a realm of Oracle. Names tell the realm and never the room. Only suffixes that a cloud keeps for its own
names count, matched on whole labels; what stands before them may be the customer's choice.

Sources: botocore `partitions.json` and `endpoints.json`; Microsoft's authentication libraries (Bleu, Delos, GovSG);
environments of Azure's command line; Google "Trusted Partner Cloud" (S3NS); Oracle's development kits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from probes.places.hosts import labels, region_named_by


@dataclass(frozen=True, slots=True)
class Realm:
    """A separate installation of a cloud: its provider, its name there, who runs it and where it is meant to be."""

    provider: str
    name: str
    operator: str
    countries: frozenset[str] = frozenset()
    """Where the realm is meant to be, as its operator says; empty for realms that span the world."""

    @property
    def sovereign(self) -> bool:
        """Whether it is apart from the provider's commercial cloud."""
        return self.name not in _COMMERCIAL


_COMMERCIAL: Final = frozenset({"aws", "azure", "googleapis", "oc1"})


def _realm(provider: str, name: str, operator: str, countries: str = "") -> Realm:
    return Realm(provider, name, operator, frozenset(countries.split()))


AWS: Final = _realm("aws", "aws", "Amazon Web Services")
AWS_CN: Final = _realm("aws", "aws-cn", "Sinnet, NWCD", "CN")
AWS_GOV: Final = _realm("aws", "aws-us-gov", "Amazon Web Services", "US")
AWS_EUSC: Final = _realm("aws", "aws-eusc", "AWS European Sovereign Cloud GmbH", "DE")
AWS_ISO: Final = _realm("aws", "aws-iso", "Amazon Web Services", "US")
AWS_ISO_B: Final = _realm("aws", "aws-iso-b", "Amazon Web Services", "US")
AWS_ISO_E: Final = _realm("aws", "aws-iso-e", "Amazon Web Services")
AWS_ISO_F: Final = _realm("aws", "aws-iso-f", "Amazon Web Services", "US")
GOOGLE: Final = _realm("gcp", "googleapis", "Google")
S3NS: Final = _realm("gcp", "s3ns", "S3NS (Thales)", "FR")
AZURE: Final = _realm("azure", "azure", "Microsoft")
AZURE_GOV: Final = _realm("azure", "azure-us-gov", "Microsoft", "US")
AZURE_CN: Final = _realm("azure", "azure-china", "21Vianet", "CN")
AZURE_SG: Final = _realm("azure", "azure-gov-sg", "Microsoft", "SG")
BLEU: Final = _realm("azure", "bleu", "Bleu (Orange, Capgemini)", "FR")
DELOS: Final = _realm("azure", "delos", "Delos Cloud (SAP)", "DE")

_OCI: Final = {
    "oc1": _realm("oci", "oc1", "Oracle"),
    "oc2": _realm("oci", "oc2", "Oracle", "US"),
    "oc3": _realm("oci", "oc3", "Oracle", "US"),
    "oc4": _realm("oci", "oc4", "Oracle", "GB"),
    "oc8": _realm("oci", "oc8", "Nomura Research Institute", "JP"),
    "oc9": _realm("oci", "oc9", "Oracle", "OM"),
    "oc10": _realm("oci", "oc10", "Oracle", "AU"),
    "oc14": _realm("oci", "oc14", "Oracle", "DE IE IT"),
    "oc15": _realm("oci", "oc15", "Oracle", "BD"),
    "oc19": _realm("oci", "oc19", "Oracle EU Sovereign Cloud", "DE ES"),
    "oc20": _realm("oci", "oc20", "Oracle", "RS"),
    "oc21": _realm("oci", "oc21", "Oracle", "QA"),
    "oc23": _realm("oci", "oc23", "Oracle", "US"),
    "oc24": _realm("oci", "oc24", "Oracle", "CH"),
    "oc26": _realm("oci", "oc26", "Oracle", "AE"),
    "oc29": _realm("oci", "oc29", "Oracle", "AE"),
    "oc35": _realm("oci", "oc35", "Oracle", "KR"),
}

_PARTITIONS: Final = {
    one.name: one for one in (AWS, AWS_CN, AWS_GOV, AWS_EUSC, AWS_ISO, AWS_ISO_B, AWS_ISO_E, AWS_ISO_F)
}

REALMS: Final = (
    *_PARTITIONS.values(), GOOGLE, S3NS, AZURE, AZURE_GOV, AZURE_CN, AZURE_SG, BLEU, DELOS, *_OCI.values(),
)  # fmt: skip
"""All of them."""

_SUFFIXES: Final = {
    "amazonaws.com": AWS,
    "api.aws": AWS,
    "on.aws": AWS,
    "cloudfront.net": AWS,
    "awsglobalaccelerator.com": AWS,
    "elasticbeanstalk.com": AWS,
    "amazonaws.com.cn": AWS_CN,
    "api.amazonwebservices.com.cn": AWS_CN,
    "cloudfront.cn": AWS_CN,
    "amazonaws.eu": AWS_EUSC,
    "api.amazonwebservices.eu": AWS_EUSC,
    "c2s.ic.gov": AWS_ISO,
    "api.aws.ic.gov": AWS_ISO,
    "sc2s.sgov.gov": AWS_ISO_B,
    "api.aws.scloud": AWS_ISO_B,
    "cloud.adc-e.uk": AWS_ISO_E,
    "api.cloud-aws.adc-e.uk": AWS_ISO_E,
    "csp.hci.ic.gov": AWS_ISO_F,
    "api.aws.hci.ic.gov": AWS_ISO_F,
    "googleapis.com": GOOGLE,
    "run.app": GOOGLE,
    "appspot.com": GOOGLE,
    "cloudfunctions.net": GOOGLE,
    "googleusercontent.com": GOOGLE,
    "pkg.dev": GOOGLE,
    "s3nsapis.fr": S3NS,
    "s3nscloud.fr": S3NS,
    "azure.com": AZURE,
    "azure.net": AZURE,
    "azurewebsites.net": AZURE,
    "azurefd.net": AZURE,
    "azureedge.net": AZURE,
    "azure-api.net": AZURE,
    "azurecontainerapps.io": AZURE,
    "azurecr.io": AZURE,
    "trafficmanager.net": AZURE,
    "windows.net": AZURE,
    "microsoftonline.com": AZURE,
    "azure.us": AZURE_GOV,
    "azurewebsites.us": AZURE_GOV,
    "azurefd.us": AZURE_GOV,
    "usgovcloudapi.net": AZURE_GOV,
    "usgovcloudapp.net": AZURE_GOV,
    "usgovtrafficmanager.net": AZURE_GOV,
    "microsoftonline.us": AZURE_GOV,
    "azure.cn": AZURE_CN,
    "chinacloudapi.cn": AZURE_CN,
    "chinacloudapp.cn": AZURE_CN,
    "chinacloudsites.cn": AZURE_CN,
    "partner.microsoftonline.cn": AZURE_CN,
    "sovcloud-api.fr": BLEU,
    "sovcloud-identity.fr": BLEU,
    "onsovcloud.fr": BLEU,
    "sovcloud-api.de": DELOS,
    "sovcloud-identity.de": DELOS,
    "onsovcloud.de": DELOS,
    "sovcloud-api.sg": AZURE_SG,
    "sovcloud-identity.sg": AZURE_SG,
    "cognitive.microsoft.com": AZURE,
    "oraclecloud.com": _OCI["oc1"],
    "customer-oci.com": _OCI["oc1"],
    "oraclecloud.eu": _OCI["oc19"],
    "oraclegovcloud.com": _OCI["oc3"],
    "oraclegovcloud.uk": _OCI["oc4"],
    "oraclecloud8.com": _OCI["oc8"],
    "oraclecloud9.com": _OCI["oc9"],
    "oraclecloud10.com": _OCI["oc10"],
    "oraclecloud14.com": _OCI["oc14"],
    "oraclecloud15.com": _OCI["oc15"],
    "oraclecloud20.com": _OCI["oc20"],
    "oraclecloud21.com": _OCI["oc21"],
    "oraclecloud24.com": _OCI["oc24"],
    "oraclecloud26.com": _OCI["oc26"],
    "oraclecloud29.com": _OCI["oc29"],
    "oraclecloud35.com": _OCI["oc35"],
}


def realm_of_host(name: str) -> Realm | None:
    """The realm whose suffix a host name ends in, or None: the longest suffix of whole labels, whatever the case.

    GovCloud shares its suffix with commercial AWS and is told apart by the label of its Region; oc2 shares that of oc3.
    A name that is no host name has no realm.
    """
    parts = labels(name)
    suffixes = (".".join(parts[start:]) for start in range(len(parts)))
    realm = next((_SUFFIXES[suffix] for suffix in suffixes if suffix in _SUFFIXES), None)
    if realm is AWS and (named := region_named_by(name)) is not None and named.region.startswith("us-gov-"):
        return AWS_GOV
    return realm


def realm_of_arn(arn: str) -> Realm | None:
    """The partition of an Amazon Resource Name, or None where it is none that keycheck knows."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return None
    return _PARTITIONS.get(parts[1])


def realm_of_ocid(ocid: str) -> Realm | None:
    """The realm in an Oracle Cloud identifier (`ocid1.TYPE.REALM.REGION.ID`), or None where keycheck knows none."""
    parts = ocid.split(".")
    if len(parts) < 5 or parts[0].lower() != "ocid1":
        return None
    return _OCI.get(parts[2].lower())


def realm_of_universe(domain: str) -> Realm | None:
    """The realm of a Google universe domain, as a service account's file names it: `googleapis.com`, `s3nsapis.fr`."""
    return {"googleapis.com": GOOGLE, "s3nsapis.fr": S3NS}.get(domain.lower().rstrip("."))
