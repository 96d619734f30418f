"""Every defect of the customer's keys, and what a run on it must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from keycheck.lab.aws.seams import Document
from keycheck.lab.defect import Promise, beside, fails, unknown
from keycheck.lab.key_sites import (
    ADMIN,
    ADMINISTERS,
    APP,
    CUSTOMER,
    G_ADMIN,
    G_APP,
    HONEST,
    STRANGER,
    USES,
    VENDOR,
    Attested,
    AwsSite,
    Bound,
    GcpSite,
    Grant,
    KeyDefect,
    KeySite,
    Material,
    Trail,
    Use,
    allow,
)

SUPPORT: Final = f"arn:aws:iam::{STRANGER}:role/support"

Change: TypeAlias = Callable[[KeySite], KeySite]


def _key(
    id: str, title: str, clause: str, promises: frozenset[Promise], at: str, movable: bool, change: Change
) -> KeyDefect:
    return KeyDefect(id, title, clause, promises, change, at, movable)


def _aws(change: Callable[[AwsSite], AwsSite]) -> Change:
    def changed(site: KeySite) -> KeySite:
        return change(site) if isinstance(site, AwsSite) else site

    return changed


def _gcp(change: Callable[[GcpSite], GcpSite]) -> Change:
    def changed(site: KeySite) -> KeySite:
        return change(site) if isinstance(site, GcpSite) else site

    return changed


def _with(*statements: Document) -> Change:
    return _aws(lambda site: replace(site, statements=(*site.statements, *statements)))


def _bound(*bindings: Bound) -> Change:
    return _gcp(lambda site: replace(site, on_key=(*site.on_key, *bindings)))


KEY_DEFECTS: tuple[KeyDefect, ...] = (
    _key("vendor-key", "the key is in the vendor's own account", "KEY-CUSTOMER",
          # of another account's key little can be read, and its use is not in the customer's log
          fails("keys.customer-managed")
          | unknown("keys.origin", "keys.policy", "keys.separation", "keys.logging", "keys.use"),
          "hold", False,
          _aws(lambda site: replace(site, account=VENDOR))),
    _key("aws-managed-key", "AWS manages the key: aws/s3 instead of a customer's", "KEY-CUSTOMER",
          # everybody in the account may use it through S3; the vendor's application cannot
          fails("keys.customer-managed", "keys.origin", "keys.policy")
          | beside("keys.material-expiry") | unknown("keys.use"), "contacts", False,
          _aws(lambda site: replace(site, aws_managed=True, origin="AWS_KMS", materials=(), grants=()))),
    _key("rsa-key", "an RSA key wraps bulk data", "KEY-CUSTOMER",
          fails("keys.algorithm"), "contacts", False,
          _aws(lambda site: replace(site, spec="RSA_4096", materials=(Material(100),), grants=()))),
    _key("aes-128-key", "the key is AES-128", "KEY-CUSTOMER",
          fails("keys.algorithm"), "contacts-g", False,
          _gcp(lambda site: replace(
              site, purpose="RAW_ENCRYPT_DECRYPT", algorithm="AES_128_GCM", ages_days=(100,)))),
    _key("generated-key", "AWS made the material: nothing was imported", "KEY-CUSTOMER",
          fails("keys.origin") | beside("keys.material-expiry"), "contacts", False,
          _aws(lambda site: replace(site, origin="AWS_KMS", materials=()))),
    _key("software-key", "the key is kept in software", "KEY-SEPARATION",
          fails("keys.protection") | beside("keys.attestation"), "contacts-g", False,
          _gcp(lambda site: replace(site, protection="SOFTWARE", attested=Attested.NONE))),
    _key("key-elsewhere", "the key is in a Region outside the jurisdiction", "RES-KEYS",
          fails("keys.location"), "hold", False,
          _aws(lambda site: replace(site, region="us-east-1"))),
    _key("replica-elsewhere", "a replica is in a Region outside the jurisdiction", "RES-KEYS",
          fails("keys.location"), "archive", False,
          _aws(lambda site: replace(site, replicas=("eu-west-3", "us-east-1")))),
    _key("global-key", "the key ring is global", "RES-KEYS",
          fails("keys.location"), "contacts-g", False,
          _gcp(lambda site: replace(site, location="global"))),
    _key("public-key-policy", "the key policy lets everybody decrypt", "KEY-NO-VENDOR-ACCESS",
          # everybody is the administrators too
          fails("keys.policy", "keys.separation"), "contacts", True,
          _with(allow("Everybody", "*", ("kms:Decrypt",)))),
    _key("public-binding", "allAuthenticatedUsers may decrypt", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy", "keys.separation"), "contacts-g", True,
          _bound(Bound("roles/cloudkms.cryptoKeyDecrypter", ("allAuthenticatedUsers",)))),
    _key("vendor-changes-policy", "the vendor may change the key policy", "KEY-NO-VENDOR-ACCESS",
          # and so both uses and administers
          fails("keys.policy", "keys.separation"), "contacts", True,
          _with(allow("Support", APP, ("kms:PutKeyPolicy",)))),
    _key("vendor-regrants", "the vendor may make grants", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy"), "contacts", True,
          _with(allow("Support", APP, ("kms:CreateGrant",)))),
    _key("vendor-schedules-deletion", "the vendor may schedule the key's deletion", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy", "keys.separation"), "contacts", True,
          _with(allow("Support", APP, ("kms:ScheduleKeyDeletion",)))),
    _key("anyone-regrants-for-services", "whoever an AWS service acts for may make grants", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy"), "contacts", True,
          _with(allow("Services", "*", ("kms:CreateGrant", "kms:RevokeGrant"),
                      Bool={"kms:GrantIsForAWSResource": "true"}))),
    _key("left-over-grant", "an older grant to the same principal was left", "KEY-NO-VENDOR-ACCESS",
          fails("keys.grants"), "contacts", True,
          _aws(lambda site: replace(site, grants=(*site.grants, Grant("crm-export-old", days_ago=300))))),
    _key("shared-by-ram", "a second policy (AWS_RAM) shares the key with a stranger", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy"), "contacts", True,
          _aws(lambda site: replace(site, shared=(allow("Shared", f"arn:aws:iam::{STRANGER}:root", USES),)))),
    _key("inherited-binding", "a stranger may decrypt, granted on the project", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy"), "contacts-g", True,
          _gcp(lambda site: replace(site, on_project=(
              Bound("roles/cloudkms.cryptoKeyDecrypter", ("user:former@vendor.example",)),)))),
    _key("administrators-decrypt", "administrators of the key can decrypt", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy", "keys.separation"), "contacts", True,
          _aws(lambda site: replace(site, statements=(
              allow("Administrators", ADMIN, (*ADMINISTERS, "kms:Decrypt")), *HONEST[1:])))),
    _key("administrators-decrypt-g", "an administrator of the key can decrypt", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy", "keys.separation"), "contacts-g", True,
          _bound(Bound("roles/cloudkms.cryptoKeyDecrypter", (G_ADMIN,)))),
    _key("vendor-owns-project", "the vendor is owner of the project", "KEY-NO-VENDOR-ACCESS",
          fails("keys.policy", "keys.separation"), "contacts-g", True,
          _gcp(lambda site: replace(site, on_project=(Bound("roles/owner", (G_APP,)),)))),
    _key("vendor-is-access-manager", "the vendor has the role by which Google hands out access", "KEY-NO-VENDOR-ACCESS",
          # whoever may hand out access administers, and uses besides
          fails("keys.policy", "keys.separation"), "contacts-g", True,
          _gcp(lambda site: replace(site, on_project=(
              Bound("roles/privilegedaccessmanager.serviceAgent", (G_APP,)),)))),
    _key("narrowed-root", "the account's IAM may let some of its roles in, which other tools take for everybody", "",
          # a statement for the account's root is trusted, and so is less of it
          frozenset(), "contacts", False,
          _with(allow("Root", f"arn:aws:iam::{CUSTOMER}:root", ("kms:*",),
                      ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"}))),
    _key("ended-binding", "a stranger's binding ended years ago", "",
          frozenset(), "contacts-g", False,
          _bound(Bound("roles/cloudkms.admin", ("user:former@vendor.example",),
                       'request.time < timestamp("2024-01-01T00:00:00Z")'))),
    _key("stale-material", "the imported material in use is 500 days old", "KEY-CUSTOMER",
          fails("keys.material-age"), "contacts", False,
          _aws(lambda site: replace(site, materials=(Material(700), Material(500))))),
    _key("stale-version", "the primary version is 500 days old", "KEY-CUSTOMER",
          fails("keys.material-age"), "contacts-g", False,
          _gcp(lambda site: replace(site, ages_days=(700, 500)))),
    _key("expiring-material", "a material expires in ten days", "KEY-CUSTOMER",
          fails("keys.material-expiry"), "contacts", False,
          _aws(lambda site: replace(site, materials=(Material(400), Material(100, expires_in_days=10))))),
    _key("missing-material", "a material that is no longer current was deleted", "KEY-CUSTOMER",
          # and with it the whole key is unusable
          fails("keys.customer-managed", "keys.material-expiry"), "contacts", False,
          _aws(lambda site: replace(site, materials=(Material(400, missing=True), Material(100))))),
    _key("healthy-imported", "an imported key without automatic rotation, which other tools fail", "",
          frozenset(), "contacts", False,
          _aws(lambda site: replace(site, materials=(Material(200),)))),
    _key("pending-deletion", "the key is scheduled for deletion", "KEY-CUSTOMER",
          fails("keys.customer-managed", "keys.deletion-window"), "contacts", False,
          _aws(lambda site: replace(site, pending_deletion=True))),
    _key("short-destruction", "destroyed versions are gone after a day", "KEY-CUSTOMER",
          fails("keys.deletion-window"), "contacts-g", False,
          _gcp(lambda site: replace(site, destroy_days=1))),
    _key("disconnected-store", "the external key store is disconnected", "KEY-CUSTOMER",
          fails("keys.customer-managed", "keys.origin"), "hold", False,
          _aws(lambda site: replace(site, connected=False))),
    _key("kms-not-logged", "the trail leaves KMS events out", "KEY-NO-VENDOR-ACCESS",
          fails("keys.logging"), "contacts", True,
          _aws(lambda site: replace(site, trail=Trail(excludes_kms=True)))),
    _key("write-only-trail", "the trail keeps write events only: Decrypt is a read", "KEY-NO-VENDOR-ACCESS",
          fails("keys.logging"), "contacts", True,
          _aws(lambda site: replace(site, trail=Trail(write_only=True)))),
    _key("undelivered-trail", "the trail's bucket is gone: nothing it logs is kept", "KEY-NO-VENDOR-ACCESS",
          fails("keys.logging"), "contacts", True,
          _aws(lambda site: replace(site, trail=Trail(delivery_error="NoSuchBucket")))),
    _key("no-data-access-log", "decryptions are not logged", "KEY-NO-VENDOR-ACCESS",
          # so no use is seen either
          fails("keys.logging") | unknown("keys.use"), "contacts-g", True,
          _gcp(lambda site: replace(site, data_read=False))),
    _key("exempted-principal", "the vendor's decryptions are exempted from the log", "KEY-NO-VENDOR-ACCESS",
          fails("keys.logging") | unknown("keys.use"), "contacts-g", True,
          _gcp(lambda site: replace(site, exempted=(G_APP,)))),
    _key("stranger-uses", "a principal that was not agreed decrypts", "KEY-NO-VENDOR-ACCESS",
          fails("keys.use", "keys.policy"), "contacts", True,
          _aws(lambda site: replace(
              site,
              statements=(*site.statements, allow("Support", SUPPORT, USES)),
              uses=(*site.uses, Use(SUPPORT))))),
    _key("use-over-tls-1.2", "the application calls the KMS over TLS 1.2", "KEY-NO-VENDOR-ACCESS",
          fails("keys.use"), "contacts", True,
          _aws(lambda site: replace(site, uses=(Use(tls="TLSv1.2"),)))),
    _key("use-from-elsewhere", "the application calls from an address that was not agreed", "KEY-NO-VENDOR-ACCESS",
          fails("keys.use"), "contacts", True,
          _aws(lambda site: replace(site, uses=(Use(source="198.51.100.7"),)))),
    _key("justifications-open", "Google may use the key for its own reasons", "KEY-NO-VENDOR-ACCESS",
          fails("keys.justifications"), "contacts-g", True,
          _gcp(lambda site: replace(site, justified=(*site.justified, "GOOGLE_INITIATED_SERVICE")))),
    _key("attestation-not-chained", "the attestation chains to no known root", "KEY-SEPARATION",
          fails("keys.attestation"), "contacts-g", False,
          _gcp(lambda site: replace(site, attested=Attested.NOT_CHAINED))),
    _key("attestation-of-another-key", "the attestation names another key version", "KEY-SEPARATION",
          fails("keys.attestation"), "contacts-g", False,
          _gcp(lambda site: replace(site, attested=Attested.ANOTHER_KEY))),
    _key("attestation-expired-root", "the attestation hangs on an expired root", "KEY-SEPARATION",
          unknown("keys.attestation"), "contacts-g", False,
          _gcp(lambda site: replace(site, attested=Attested.EXPIRED_ROOT))),
)  # fmt: skip
"""The table, in the order in which it is shown."""
