"""The deployment: what the vendor runs and how we may look at it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator

from keycheck.model.types import CanonicalJson, Model, Name, Prose, SubjectId

SecretRef: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:.{1,1000})$")]
"""Where a secret is, never the secret: `env:NAME` or `file:PATH` (relative to the deployment file)."""
FileRef: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A path, relative to the deployment file."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """Refuses a name that the deployment does not declare. Checked only while a deployment file is read,
    which passes the declared names as validation context; a body read back from evidence has none."""

    section: str
    noun: str

    def __call__(self, name: str, info: ValidationInfo) -> str:
        context = info.context
        declared: Collection[str] | None = context.get(self.section, ()) if isinstance(context, dict) else None
        if declared is None or name in declared:
            return name
        meant = get_close_matches(name, sorted(declared), n=1)
        mend = f"did you mean `{meant[0]}`?" if meant else f"declare it under `{self.section}:`"
        raise ValueError(f"no {self.noun} is named so; {mend}")


def declared(section: str, noun: str) -> AfterValidator:
    """For an area's models: the name must be the id of something that the deployment declares in the section."""
    return AfterValidator(_Declared(section, noun))


VantageRef: TypeAlias = Annotated[Name, AfterValidator(_Declared("vantages", "vantage"))]
"""The id of a vantage that the deployment declares."""
IdentityRef: TypeAlias = Annotated[Name, AfterValidator(_Declared("identities", "identity"))]
"""The id of an identity that the deployment declares."""
WitnessRef: TypeAlias = Annotated[Name, AfterValidator(_Declared("witnesses", "witness"))]
"""The id of a witness that the deployment declares."""


class Subject(Model):
    """One thing that the deployment names. Areas subclass it and register their section."""

    id: Name
    note: Prose | None = None
    vantages: tuple[VantageRef, ...] = ()
    """Vantages it is observed from; empty means all of the deployment's."""


COORDINATES: Final = r"^-?\d{1,2}(\.\d{1,6})?, ?-?\d{1,3}(\.\d{1,6})?$"
"""Latitude and longitude in degrees, down to microdegrees."""


def _literal_address(value: str) -> str:
    return str(ipaddress.ip_address(value))


class Vantage(Model):
    """A network place and a credential identity that a probe runs from."""

    id: Name
    place: Annotated[str, StringConstraints(max_length=200)] = ""
    """Where it stands, for people: `Frankfurt office`, `aws eu-central-1`."""
    coordinates: Annotated[str, StringConstraints(pattern=COORDINATES)] | None = None
    """Latitude and longitude in degrees, `50.11,8.68`: the premise of every bound by delay. Declared, not proved."""
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    """ISO 3166 code of the country that it stands in, as declared."""
    source: Annotated[str, StringConstraints(max_length=64), AfterValidator(_literal_address)] | None = None
    """The local address that connections leave from, on a machine that has several."""
    worker: Literal["local", "elsewhere"] = "local"
    """`elsewhere`: this process cannot observe from there; its members stay `not-tested(no-vantage)`."""
    egress: Annotated[str, StringConstraints(max_length=64)] = ""
    """The source address that the vendor sees, checked against the authorization's `sources`."""
    proxy: Annotated[str, StringConstraints(pattern=r"^http://[^/@\s]+:\d{1,5}$")] | None = None
    """An HTTP CONNECT proxy that connections must go through."""
    ca_bundle: FileRef | None = None
    """Trust store to use instead of the system's."""
    interception_cas: tuple[FileRef, ...] = ()
    """CA certificates of TLS inspection on our own side: what they sign says nothing about the vendor."""


Authority: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$")]
"""A host with an optional port."""

HERE = Vantage(id="here")
"""The vantage of a deployment that declares none."""


GcpService: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
"""As in `storage.googleapis.com`."""


class AwsIdentity(Model):
    """An AWS credential by name; the secret comes from the SDK's own chain."""

    id: Name
    provider: Literal["aws"]
    config_file: FileRef | None = None
    """An AWS configuration file instead of the ambient one: profiles, credentials, `services` with endpoints."""
    profile: Annotated[str, StringConstraints(max_length=200)] | None = None
    role_arn: Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.{1,512}$")] | None = None
    external_id: SecretRef | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,30}$")] | None = None


class GcpIdentity(Model):
    """A Google Cloud credential by name; the secret comes from application default credentials."""

    id: Name
    provider: Literal["gcp"]
    credentials: SecretRef | None = None
    """`file:PATH` of a credential file (service account, workload identity); without it, application default
    credentials."""
    impersonate: Annotated[str, StringConstraints(max_length=300)] | None = None
    quota_project: Annotated[str, StringConstraints(max_length=100)] | None = None
    universe_domain: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{4,100}$")] = "googleapis.com"
    """Whose cloud: another domain for a partner's sovereign one."""
    api_endpoint: Authority | None = None
    """`host` or `host:port` of Cloud KMS instead of `cloudkms.UNIVERSE`, e.g. a regional endpoint or an emulator."""
    logging_endpoint: Authority | None = None
    """The same for Cloud Logging."""
    resource_manager_endpoint: Authority | None = None
    """The same for Resource Manager, whose policies keys inherit."""
    scheduler_endpoint: Authority | None = None
    """The same for Cloud Scheduler, which is spoken to by REST."""
    storage_endpoint: Authority | None = None
    """The same for Cloud Storage, where exported logs lie."""
    endpoints: Annotated[tuple[tuple[GcpService, Authority], ...], Field(max_length=30)] = ()
    """The same for any other service, by its name in `NAME.googleapis.com`."""
    unsafe_plaintext_to_loopback: bool = False
    """Speak gRPC without TLS, to an emulator on this machine; refused for every other address."""
    unsafe_foreign_endpoints: bool = False
    """Send this credential's tokens to hosts outside `universe_domain`, and to universes that keycheck does not know.
    Whoever answers there can use them as the cloud itself."""


Identity: TypeAlias = Annotated[AwsIdentity | GcpIdentity, Field(discriminator="provider")]


class HttpWitness(Model):
    """A way to see what the vendor's service can still read: an HTTP read of a canary record. Or, for a rotation, a
    way to make it write one anew."""

    id: Name
    kind: Literal["http"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=2000)]
    unsafe_plaintext_to_loopback: bool = False
    """Allow `http://`, to a practice service on this machine; refused for every other address."""
    method: Literal["GET", "POST", "PUT"] = "GET"
    """`PUT` only where a drill is meant to write."""
    body: SecretRef | None = None
    """One line that is sent as the request's body, such as a canary's JSON; by reference."""
    headers: tuple[tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")], SecretRef], ...] = ()
    readable: Prose
    """Text that a reply holds when the canary is readable."""
    withheld: Prose
    """Text that a reply holds when the vendor withholds it for want of the key; declared beforehand."""

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if not self.url.startswith("https://") and not self.unsafe_plaintext_to_loopback:
            raise ValueError("the url must begin with https://")
        if self.body is not None and self.method == "GET":
            raise ValueError("a GET has no body: choose the method POST or PUT")
        return self


class CommandWitness(Model):
    """A witness that is a program: exit 0 readable, 1 withheld, anything else unavailable."""

    id: Name
    kind: Literal["command"]
    argv: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]


Witness: TypeAlias = Annotated[HttpWitness | CommandWitness, Field(discriminator="kind")]


class SubjectEntry(Model):
    """A subject of any area, as the engine and the bundle carry it: typed again by the area's model."""

    id: SubjectId
    """`section/id`."""
    vantages: tuple[Name, ...]
    """The vantages it is to be observed from, resolved."""
    body: CanonicalJson
    """The subject as its own section's model wrote it."""

    @property
    def section(self) -> str:
        """The deployment section, as in `endpoints`."""
        return self.id.partition("/")[0]


class Deployment(Model):
    """A parsed deployment. Subjects keep the order of the file."""

    deployment: Name
    title: Prose | None = None
    vantages: tuple[Vantage, ...] = (HERE,)
    identities: tuple[Identity, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    subjects: tuple[SubjectEntry, ...] = ()

    def in_section(self, section: str) -> Iterable[SubjectEntry]:
        """The subjects of one section, in the order of the file."""
        return (subject for subject in self.subjects if subject.section == section)
