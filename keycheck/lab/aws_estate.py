"""Makes the planned AWS keys: stores, keys, materials, replicas, policies, grants and trails, as long ago as planned,
and practice uses by the vendor's application over the wire."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.identity import Credentials, Refusal
from keycheck.lab.aws.kms.managed import make_managed
from keycheck.lab.aws.scheduler import SERVICE as SCHEDULER
from keycheck.lab.aws.seams import Caller, Document
from keycheck.lab.crm.aws_envelope import AwsEnvelope, aws_client
from keycheck.lab.crm.contacts import Store
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.doors import AwsDoor
from keycheck.lab.crm.traffic import work
from keycheck.lab.errors import LabError
from keycheck.lab.key_sites import (
    ADMIN,
    APP,
    AUDITOR,
    CONTROL,
    CONTROLS,
    CUSTOMER,
    DEAD_MAN,
    DRILL,
    DRILLS,
    INSPECTOR,
    LOG_READER,
    OPENER,
    OPERATOR,
    READS,
    RESTORE,
    RESTORES,
    REVIVES,
    SCHEDULES,
    SUPPORT,
    AwsSite,
    Grant,
    Material,
    Use,
)
from keycheck.lab.lab_clock import LabClock

EXTERNAL_ID_FILE: Final = "inspector-external-id"
CONFIG_FILE: Final = "aws.config"
_OAEP: Final = "RSAES_OAEP_SHA_256"
_KEY_WRAP: Final = "RSA_AES_KEY_WRAP_SHA_256"
_SERVICES: Final = ("kms", "sts", "cloudtrail", "scheduler")
_REPORT: Final = "this is a defect of the lab: report it"
_STORES: Final = ("kms:DescribeCustomKeyStores", "kms:ConnectCustomKeyStore")
_ROLES: Final = (
    ("drill", DRILL, (*DRILLS, *_STORES, "kms:DisconnectCustomKeyStore")),
    ("control", CONTROL, (*CONTROLS, "kms:DescribeKey")),
    ("restore", RESTORE, (*RESTORES, *_STORES, *SCHEDULES)),
    ("opener", OPENER, ("kms:Decrypt",)),
)
"""Identity, role, and what its own policy allows it."""
_LOGS: Final = ("LookupEvents", "DescribeTrails", "GetTrailStatus", "GetEventSelectors")


class AwsEstate:
    """The customer's AWS. Raises LabError when a port cannot be had or a plan makes no sense."""

    def __init__(self, home: Path, sites: Sequence[AwsSite], clock: LabClock) -> None:
        self._home = home
        self._clock = clock
        self.cloud = AwsCloud(clock=clock)
        self.cloud.start()
        self.arns: dict[str, str] = {}
        self.escrow: dict[str, tuple[Mapping[str, str], ...]] = {}
        """By id of a canary's key: each of its materials, and the file in the lab's home that holds it, as the `escrow`
        of a deployment names them."""
        with ExitStack() as held:
            held.callback(self.cloud.close)
            self._people(sites)
            for site in sites:
                self.arns[site.id] = self._key(site)
                self._trail(site)
                if site.canary is not None:
                    self._canary(site, site.canary)
            for site in sites:
                for use in site.uses:
                    self._use(site, use)
            held.pop_all()

    @property
    def identities(self) -> tuple[Mapping[str, object], ...]:
        """Who inspects, who reads the log, who drills, controls and restores, and who opens samples, as a deployment
        declares them."""
        return (
            {
                "id": "inspector",
                "provider": "aws",
                "config_file": CONFIG_FILE,
                "profile": "auditor",
                "role_arn": INSPECTOR,
                "external_id": f"file:{EXTERNAL_ID_FILE}",
            },
            {"id": "log-reader", "provider": "aws", "config_file": CONFIG_FILE, "profile": "log-reader"},
            *(
                {
                    "id": id,
                    "provider": "aws",
                    "config_file": CONFIG_FILE,
                    "profile": "operator",
                    "role_arn": arn,
                    "external_id": f"file:{EXTERNAL_ID_FILE}",
                }
                for id, arn, _ in _ROLES
            ),
        )

    def door(self, id: str, principal: str = APP) -> AwsDoor:
        """The way of one of the vendor's principals to the key of this id. The session lasts an hour."""
        credentials = self._session(Use(principal))
        region = self.arns[id].split(":")[3]
        client = aws_client(
            endpoint=self.cloud.url,
            region=region,
            access_key_id=credentials.access_key_id,
            secret=credentials.secret,
            session_token=credentials.session_token,
        )
        return AwsDoor(client, self.arns[id])

    def close(self) -> None:
        """End the cloud."""
        self.cloud.close()

    def _people(self, sites: Sequence[AwsSite]) -> None:
        directory, external_id = self.cloud.directory, os.urandom(12).hex()
        auditor = directory.add_user(AUDITOR, policies=(_may("sts:AssumeRole"),))
        logger = directory.add_user(LOG_READER, policies=(_may(*(f"cloudtrail:{name}" for name in _LOGS)),))
        reads = _may(*READS, "kms:ListAliases", "kms:DescribeCustomKeyStores")
        directory.add_role(INSPECTOR, trusts=(AUDITOR,), external_id=external_id, policies=(reads,))
        operator = directory.add_user(OPERATOR, policies=(_may("sts:AssumeRole"),))
        for _, arn, actions in _ROLES:
            directory.add_role(arn, trusts=(OPERATOR,), external_id=external_id, policies=(_may(*actions),))
        directory.add_role(DEAD_MAN, trusts=(), services=(SCHEDULER,), policies=(_may(*REVIVES),))
        roles = {ADMIN, APP, SUPPORT, *(_admin(site.account) for site in sites)}
        for arn in sorted(roles | {use.principal for site in sites for use in site.uses}):
            directory.add_role(arn, trusts=(_root(arn),), policies=(_may("kms:*"),))
        (self._home / EXTERNAL_ID_FILE).write_text(external_id, encoding="ascii")
        config = self._home / CONFIG_FILE
        config.write_text(
            f"[profile auditor]\n{_keys(auditor)}[profile log-reader]\n{_keys(logger)}"
            f"[profile operator]\n{_keys(operator)}"
            f"[services lab]\n{''.join(_service(name, self.cloud.url) for name in _SERVICES)}",
            encoding="ascii",
        )
        config.chmod(0o600)

    def _caller(self, arn: str) -> Caller:
        account, role = arn.split(":")[4], arn.rpartition("/")[2]
        session = f"arn:aws:sts::{account}:assumed-role/{role}/lab"
        return Caller(account, session, arn, "ASIALABBUILDER", (_may("kms:*"),))

    def _do(self, site: AwsSite, operation: str, *where: str, **parameters: object) -> Mapping[str, object]:
        caller = self._caller(_admin(site.account))
        return self.cloud.kms.call(caller, where[0] if where else site.region, operation, **parameters)

    def _key(self, site: AwsSite) -> str:
        oldest = max((material.age_days for material in site.materials), default=100)
        with self._clock.days_ago(oldest + 1):
            if site.aws_managed:
                return make_managed(self.cloud.kms.holdings, site.account, site.region, "s3", self._clock()).arn
            made = self._do(site, "CreateKey", **self._shape(site))["KeyMetadata"]
        if not isinstance(made, Mapping):
            raise LabError("CreateKey answered no key", advice=_REPORT)
        arn = str(made["Arn"])
        for number, material in enumerate(site.materials):
            with self._clock.days_ago(material.age_days):
                self._import(site, arn, material, first=number == 0)
        for grant in site.grants:
            with self._clock.days_ago(grant.days_ago):
                self._grant(site, arn, grant)
        if site.shared:
            self._share(arn, site.shared)
        return arn

    def _canary(self, site: AwsSite, id: str) -> None:
        """A key for canaries, with an old and a current material, both kept outside of the cloud. What is wrong with
        the key beside it is not its affair, but for who is let in."""
        plan = AwsSite(id, site.region, site.account, materials=(), statements=site.statements, uses=())
        arn = self.arns[id] = self._key(plan)
        kept: list[Mapping[str, str]] = []
        for number, days in enumerate((90, 30), start=1):
            secret, file = _secret(plan.spec), self._home / f"{id}-{number}.escrow"
            file.write_bytes(secret)
            file.chmod(0o600)
            with self._clock.days_ago(days):
                first = number == 1
                new = {} if first else {"ImportType": "NEW_KEY_MATERIAL"}
                self._bring(plan, plan.region, arn, secret, None, new)
                if not first:
                    self._do(plan, "RotateKeyOnDemand", KeyId=arn)
            kept.append({"material": self.cloud.kms.find(arn).ring.materials[-1].id, "local": file.name})
        self.escrow[id] = tuple(kept)

    def _shape(self, site: AwsSite) -> dict[str, object]:
        shape: dict[str, object] = {
            "Description": f"practice key {site.id}",
            "KeySpec": site.spec,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "Origin": site.origin,
            "MultiRegion": bool(site.replicas),
            "Policy": _policy(_in_account(site.statements, site.account)),
            "Tags": [{"TagKey": "system", "TagValue": "crm"}],
        }
        if site.origin == "EXTERNAL_KEY_STORE":
            shape |= {"CustomKeyStoreId": self._store(site), "XksKeyId": f"hsm-{site.id}"}
        return shape

    def _store(self, site: AwsSite) -> object:
        made = self._do(
            site,
            "CreateCustomKeyStore",
            CustomKeyStoreName=f"{site.id}-store",
            CustomKeyStoreType="EXTERNAL_KEY_STORE",
            XksProxyUriEndpoint="https://hsm.acme.example",
            XksProxyUriPath="/kms/xks/v1",
            XksProxyConnectivity="PUBLIC_ENDPOINT",
            XksProxyAuthenticationCredential={
                "AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
                "RawSecretAccessKey": os.urandom(24).hex().upper().translate(str.maketrans("0189", "ABCD")),
            },
        )
        store = made["CustomKeyStoreId"]
        self._do(site, "ConnectCustomKeyStore", CustomKeyStoreId=store)
        return store

    def _import(self, site: AwsSite, arn: str, material: Material, *, first: bool) -> None:
        secret = _secret(site.spec)
        expires = None
        if material.expires_in_days is not None:
            expires = self._clock() + timedelta(days=material.age_days + material.expires_in_days)
        new = {} if first else {"ImportType": "NEW_KEY_MATERIAL"}
        self._bring(site, site.region, arn, secret, expires, new)
        for region in site.replicas:
            if first:
                self._do(site, "ReplicateKey", KeyId=arn, ReplicaRegion=region, Policy=_policy(site.statements))
            self._bring(site, region, _in_region(arn, region), secret, expires, {})
        if not first:
            self._do(site, "RotateKeyOnDemand", KeyId=arn)

    def _bring(
        self, site: AwsSite, region: str, arn: str, secret: bytes, expires: datetime | None, more: Mapping[str, str]
    ) -> None:
        algorithm = _OAEP if len(secret) <= 32 else _KEY_WRAP
        given = self._do(
            site, "GetParametersForImport", region, KeyId=arn, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048"
        )
        ends: dict[str, object] = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
        if expires is not None:
            ends = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": expires}
        self._do(
            site,
            "ImportKeyMaterial",
            region,
            KeyId=arn,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=_wrapped(secret, given["PublicKey"]),
            **ends,
            **more,
        )

    def _grant(self, site: AwsSite, arn: str, grant: Grant) -> None:
        self._do(
            site,
            "CreateGrant",
            KeyId=arn,
            GranteePrincipal=grant.grantee,
            Operations=list(grant.operations),
            Name=grant.name,
            Constraints={"EncryptionContextSubset": dict(grant.context)},
        )

    def _share(self, arn: str, statements: Sequence[Document]) -> None:
        key = self.cloud.kms.find(arn)
        texts = {**key.policies.value, "AWS_RAM": _policy(statements)}
        key.policies.put(texts, self._clock(), timedelta(0))

    def _trail(self, site: AwsSite) -> None:
        plan = site.trail
        selector: Document = {
            "ReadWriteType": "WriteOnly" if plan.write_only else "All",
            "IncludeManagementEvents": True,
            "DataResources": [],
            "ExcludeManagementEventSources": ["kms.amazonaws.com"] if plan.excludes_kms else [],
        }
        for region in (site.region, *site.replicas):
            self.cloud.trails.add(
                CUSTOMER,
                region,
                f"{site.id}-trail",
                logging=plan.logging,
                multi_region=False,
                log_file_validation=plan.validation,
                delivery_error=plan.delivery_error,
                event_selectors=(selector,),
            )

    def finish(self, sites: Sequence[AwsSite]) -> None:
        """What can only be done after the uses: what makes a key unusable."""
        for site in sites:
            arn = self.arns[site.id]
            materials = self.cloud.kms.find(arn).ring.materials
            for plan, material in zip(site.materials, materials, strict=False):
                if plan.missing:
                    self._do(site, "DeleteImportedKeyMaterial", KeyId=arn, KeyMaterialId=material.id)
            if not site.connected:
                store = self.cloud.kms.find(arn).store
                if store is not None:
                    self._do(site, "DisconnectCustomKeyStore", CustomKeyStoreId=store.id)
            if site.pending_deletion:
                self._do(site, "ScheduleKeyDeletion", KeyId=arn, PendingWindowInDays=7)

    def _use(self, site: AwsSite, use: Use) -> None:
        if site.aws_managed:
            return  # only S3 can use it
        for region in (site.region, *site.replicas):
            credentials = self._session(use)
            client = aws_client(
                endpoint=self.cloud.url,
                region=region,
                access_key_id=credentials.access_key_id,
                secret=credentials.secret,
                session_token=credentials.session_token,
            )
            arn = _in_region(self.arns[site.id], region)
            if site.spec == "SYMMETRIC_DEFAULT":
                store = Store(self._home / f"contacts-{site.id}-{region}.sqlite")
                work(Crm(AwsEnvelope(client, arn), store), use.records)
                continue
            for number in range(use.records):
                sealed = client.encrypt(KeyId=arn, Plaintext=b"practice %d" % number, EncryptionAlgorithm=_OAEP)
                client.decrypt(KeyId=arn, CiphertextBlob=sealed["CiphertextBlob"], EncryptionAlgorithm=_OAEP)

    def _session(self, use: Use) -> Credentials:
        directory, now = self.cloud.directory, self._clock()
        root = _root(use.principal)
        directory.add_role(
            use.principal, trusts=(root,), policies=(_may("kms:*"),), source=use.source, tls_version=use.tls
        )
        caller = Caller(root.split(":")[4], root, root, "AKIALABBUILDER", (_may("sts:AssumeRole"),))
        session = directory.assume(caller, use.principal, "crm", None, now, 3600)
        if isinstance(session, Refusal):
            raise LabError(f"{use.principal} cannot be assumed: {session.message}", advice=_REPORT)
        return session.credentials


def _may(*actions: str) -> Document:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def _policy(statements: Sequence[Document]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _admin(account: str) -> str:
    return ADMIN.replace(CUSTOMER, account)


def _in_account(statements: Sequence[Document], account: str) -> tuple[Document, ...]:
    """The same policy, its administrators being those of the account."""
    return tuple(json.loads(json.dumps(statement).replace(ADMIN, _admin(account))) for statement in statements)


def _root(arn: str) -> str:
    return f"arn:aws:iam::{arn.split(':')[4]}:root"


def _in_region(arn: str, region: str) -> str:
    parts = arn.split(":")
    return ":".join((*parts[:3], region, *parts[4:]))


def _keys(credentials: Credentials) -> str:
    return (
        f"aws_access_key_id = {credentials.access_key_id}\naws_secret_access_key = {credentials.secret}\n"
        "services = lab\n\n"
    )


def _service(name: str, url: str) -> str:
    return f"{name} =\n  endpoint_url = {url}\n"


def _secret(spec: str) -> bytes:
    if spec == "SYMMETRIC_DEFAULT":
        return os.urandom(32)
    key = rsa.generate_private_key(65537, int(spec.removeprefix("RSA_")))
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _wrapped(secret: bytes, public: object) -> bytes:
    """As ImportKeyMaterial wants it: OAEP, or for long material an ephemeral AES key under OAEP before RFC 5649."""
    key = load_der_public_key(public) if isinstance(public, bytes) else None
    if not isinstance(key, rsa.RSAPublicKey):
        raise LabError("GetParametersForImport answered no RSA key", advice=_REPORT)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    if len(secret) <= 32:
        return key.encrypt(secret, oaep)
    ephemeral = os.urandom(32)
    return key.encrypt(ephemeral, oaep) + aes_key_wrap_with_padding(ephemeral, secret)
