"""Realms and regions in names: what the cloud wrote counts, what a customer may write does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.places.hosts import RegionNamed, labels, region_named_by, region_of_ocid
from probes.places.oci_regions import OCI, REALM_OF, REGION_OF_KEY
from probes.places.realm_regions import REALM_NAMES, realm_of_region
from probes.places.realms import realm_of_arn, realm_of_host, realm_of_ocid, realm_of_universe

REALMS = """
kms.eu-central-1.amazonaws.com aws
kms.eu-central-1.api.aws aws
S3.EU-CENTRAL-1.AMAZONAWS.COM. aws
amazonaws.com aws
d111.cloudfront.net aws
ec2.us-gov-west-1.amazonaws.com aws-us-gov
us-gov-bucket.s3.eu-west-1.amazonaws.com aws
kms.cn-north-1.amazonaws.com.cn aws-cn
kms.cn-north-1.api.amazonwebservices.com.cn aws-cn
kms.eusc-de-east-1.amazonaws.eu aws-eusc
kms.eusc-de-east-1.api.amazonwebservices.eu aws-eusc
s3.eu-isoe-west-1.cloud.adc-e.uk aws-iso-e
storage.googleapis.com googleapis
storage.s3nsapis.fr s3ns
console.cloud.s3nscloud.fr s3ns
login.sovcloud-identity.fr bleu
management.sovcloud-api.fr bleu
login.sovcloud-identity.de delos
tenant.onsovcloud.de delos
login.microsoftonline.com azure
login.microsoftonline.us azure-us-gov
login.partner.microsoftonline.cn azure-china
vault.azure.net azure
objectstorage.eu-frankfurt-1.oraclecloud.com oc1
objectstorage.eu-frankfurt-2.oraclecloud.eu oc19
"""


@pytest.mark.parametrize(("host", "name"), [line.split() for line in REALMS.strip().splitlines()])
def test_realms_by_their_suffixes(host: str, name: str) -> None:
    realm = realm_of_host(host)
    assert realm is not None
    assert realm.name == name
    assert realm.sovereign == (name not in ("aws", "azure", "googleapis", "oc1"))


@pytest.mark.parametrize(
    "host",
    ["amazonaws.com.evil.example", "notamazonaws.com", "amazonaws.com:443", "amazonaws.com/x", "amazonaws.eu.example",
     "amazonaws.c\u043em", "-.amazonaws.com", "a..amazonaws.com", "", ".", "com", "\namazonaws.com", "amazonaws.com\n",
     ("a." * 130) + "amazonaws.com", "eu.api.vendor.example"],
)  # fmt: skip
def test_hostile_names_have_no_realm_and_no_region(host: str) -> None:
    assert realm_of_host(host) is None
    assert region_named_by(host) is None


NAMED = """
bucket.s3.eu-central-1.amazonaws.com aws eu-central-1
eu-central-1.s3.us-east-1.amazonaws.com aws us-east-1
bucket.s3.dualstack.eu-central-1.amazonaws.com aws eu-central-1
s3-eu-west-1.amazonaws.com aws eu-west-1
site.s3-website-us-east-1.amazonaws.com aws us-east-1
site.s3-website.eu-central-1.amazonaws.com aws eu-central-1
lb-1.eu-central-1.elb.amazonaws.com aws eu-central-1
lb-1.elb.eu-central-1.amazonaws.com aws eu-central-1
db.c0ffee.eu-west-1.rds.amazonaws.com aws eu-west-1
ec2-203-0-113-7.eu-west-2.compute.amazonaws.com aws eu-west-2
id.execute-api.eu-central-1.amazonaws.com aws eu-central-1
id.lambda-url.eu-central-1.on.aws aws eu-central-1
kms.eu-central-1.api.aws aws eu-central-1
bedrock-runtime.us-east-1.amazonaws.com aws us-east-1
kms.eusc-de-east-1.amazonaws.eu aws eusc-de-east-1
europe-west3-aiplatform.googleapis.com gcp europe-west3
storage.me-central2.rep.googleapis.com gcp me-central2
us-central1-europe-west3.cloudfunctions.net gcp us-central1
api-123.europe-west4.run.app gcp europe-west4
vm.germanywestcentral.cloudapp.azure.com azure germanywestcentral
app-h4sh.uksouth-01.azurewebsites.net azure uksouth
swedencentral.api.cognitive.microsoft.com azure swedencentral
iaas.eu-frankfurt-1.oraclecloud.com oci eu-frankfurt-1
iaas.eu-madrid-2.oraclecloud.eu oci eu-madrid-2
ns.objectstorage.eu-paris-1.oci.customer-oci.com oci eu-paris-1
"""


@pytest.mark.parametrize(("host", "provider", "region"), [line.split() for line in NAMED.strip().splitlines()])
def test_regions_that_the_cloud_wrote(host: str, provider: str, region: str) -> None:
    named = region_named_by(host)
    assert isinstance(named, RegionNamed)
    assert (named.provider, named.region) == (provider, region)
    assert region_named_by(host.upper() + ".") == named


@pytest.mark.parametrize(
    "host",
    ["eu-central-1.vendor.example", "eu.api.vendor.example", "eu-central-1.s3.amazonaws.com", "iam.amazonaws.com",
     "storage.googleapis.com", "aiplatform.googleapis.com", "germanywestcentral.azurewebsites.net",
     "vm.moonwest.cloudapp.azure.com", "iaas.eu-moon-1.oraclecloud.com", "d111.cloudfront.net",
     "eu-west-1.amazonaws.com.evil.example"],
)  # fmt: skip
def test_what_a_customer_may_choose_names_no_region(host: str) -> None:
    assert region_named_by(host) is None


@given(st.text(alphabet="eu-cntral123.*_ABamzonws", max_size=80))
def test_any_text_is_answered(text: str) -> None:
    for suffix in ("", ".amazonaws.com", ".run.app", ".cloudapp.azure.com", ".oraclecloud.com"):
        region_named_by(text + suffix)
        realm_of_host(text + suffix)
    assert all(labels(text)) or labels(text) == ()


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:kms:eu-central-1:111122223333:key/x", "aws"),
        ("arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/x", "aws-eusc"),
        ("arn:aws-cn:s3:::bucket", "aws-cn"),
        ("arn:aws-mars:s3:::bucket", None),
        ("arn:aws", None),
        ("urn:aws:s3:::bucket", None),
    ],
)
def test_partitions_of_arns(arn: str, name: str | None) -> None:
    realm = realm_of_arn(arn)
    assert (realm and realm.name) == name


def test_realms_and_regions_of_ocids() -> None:
    ocid = "ocid1.instance.oc1.fra.abc"
    realm = realm_of_ocid(ocid)
    assert realm is not None
    assert (realm.name, realm.sovereign, region_of_ocid(ocid)) == ("oc1", False, "eu-frankfurt-1")
    sovereign = realm_of_ocid("ocid1.vault.oc19.eu-frankfurt-2.x.abc")
    assert sovereign is not None
    assert sovereign.sovereign
    assert region_of_ocid("ocid1.vault.oc19.eu-frankfurt-2.x.abc") == "eu-frankfurt-2"
    for bad in ("ocid1.instance.oc99.fra.abc", "ocid2.instance.oc1.fra.abc", "ocid1.oc1"):
        assert realm_of_ocid(bad) is None
    assert region_of_ocid("ocid1.tenancy.oc1..abc") is None
    assert set(REGION_OF_KEY.values()) <= set(OCI) == set(REALM_OF)


def test_realms_of_regions() -> None:
    assert realm_of_region("oci", "eu-frankfurt-2") == "oc19"
    assert realm_of_region("oci", "eu-jovanovac-1") == "oc20"
    assert realm_of_region("oci", "eu-dcc-milan-1") == "oc14"
    assert realm_of_region("oci", "eu-frankfurt-1") == realm_of_region("oci", "eu-madrid-3") == "oc1"
    assert realm_of_region("oci", "eu-moon-1") is None
    assert realm_of_region("aws", "eusc-de-east-1") == "aws-eusc"
    assert realm_of_region("aws", "eu-central-1") == "aws"
    assert realm_of_region("aws", "eu-isoe-west-1") == "aws-iso-e"
    assert realm_of_region("azure", "bleufrancecentral") == "bleu"
    assert {realm.lower() for realm in REALM_OF.values()} <= REALM_NAMES


def test_universes() -> None:
    realm = realm_of_universe("s3nsapis.fr")
    assert realm is not None
    assert realm.countries == {"FR"}
    assert realm_of_universe("googleapis.com.evil") is None
