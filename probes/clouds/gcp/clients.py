"""Credentials and clients of an identity, made once in a run.

Which cloud is asked follows the identity: its universe's own endpoints over TLS, or the ones below the universe that
it names. Without TLS only addresses of this machine are spoken to, and only by an identity that says so: a bearer token
must never cross a network in the clear, nor go to somebody else.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp.documents import SCOPES, credential
from probes.clouds.gcp.errors import login_failed, translated
from probes.clouds.gcp.files import read_regular
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.token_http import MAX_BUNDLE, TokenTransport
from probes.clouds.gcp.tokens import TOKEN_S, Spoken, Tokens
from probes.clouds.gcp.universes import check_endpoint, check_universe

if TYPE_CHECKING:
    import grpc
    from google.auth.credentials import Credentials
    from google.cloud.kms_v1 import KeyManagementServiceClient
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    from google.cloud.resourcemanager_v3 import FoldersClient, OrganizationsClient, ProjectsClient

MAX_MESSAGE: Final[Mapping[Api, int]] = {Api.KMS: 4 << 20, Api.LOGGING: 4 << 20, Api.RESOURCES: 1 << 20}
"""Bytes of one answer. In memory an answer takes about twenty times as much, before anybody can count what is in it."""
_LOOKUP_S: Final = 5.0

# gRPC's core writes to the terminal what a token service or a cloud answered; it reads this when it is first imported
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

C = TypeVar("C")


def identity_of(name: str | None, io: Io) -> GcpIdentity:
    """The identity that a subject names for a role; without one, application default credentials.

    Raises ProbeError(permission-denied) when the name is of another cloud's identity or of none.
    """
    if name is None:
        return GcpIdentity(id="default", provider="gcp")
    for identity in io.identities:
        if identity.id == name:
            if isinstance(identity, GcpIdentity):
                return identity
            raise ProbeError(Reason.PERMISSION_DENIED, f"identity {name} is of another cloud: name one of Google Cloud")
    raise ProbeError(Reason.PERMISSION_DENIED, f"no identity {name} is declared: add it under `identities`")


def credentials(identity: GcpIdentity, io: Io) -> Credentials:
    """The identity's credential, read once in a run. Raises ProbeError."""

    def make() -> Credentials | Unseen:
        # a credential that is no good is so for every key: remembered, not tried again for each
        try:
            check_universe(identity)
            return _load(identity, io.base)
        except ProbeError as error:
            return Unseen(reason=error.reason, detail=str(error))

    made = io.once.get(("gcp", "credentials", identity), make)
    if isinstance(made, Unseen):
        raise ProbeError(made.reason, made.detail)
    return made


def account(identity: GcpIdentity, io: Io) -> str | None:
    """The account that the credential names, where it names one."""
    held = credentials(identity, io)
    for name in ("service_account_email", "signer_email", "account"):
        email = getattr(held, name, None)
        if isinstance(email, str) and "@" in email:
            return email
    return None


def kms(identity: GcpIdentity, io: Io) -> KeyManagementServiceClient:
    """Client of Cloud KMS. Raises ProbeError."""

    def make() -> KeyManagementServiceClient:
        from google.cloud.kms_v1 import KeyManagementServiceClient as Client
        from google.cloud.kms_v1.services.key_management_service.transports import (
            KeyManagementServiceGrpcTransport as Transport,
        )

        return _client(Client, Transport, Api.KMS, identity, io)

    return io.once.get(("gcp", "kms", io.vantage, identity), make)


def logs(identity: GcpIdentity, io: Io) -> LoggingServiceV2Client:
    """Client of Cloud Logging. Raises ProbeError."""

    def make() -> LoggingServiceV2Client:
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client as Client
        from google.cloud.logging_v2.services.logging_service_v2.transports import (
            LoggingServiceV2GrpcTransport as Transport,
        )

        return _client(Client, Transport, Api.LOGGING, identity, io)

    return io.once.get(("gcp", "logging", io.vantage, identity), make)


def projects(identity: GcpIdentity, io: Io) -> ProjectsClient:
    """Client of Resource Manager's projects. Raises ProbeError."""

    def make() -> ProjectsClient:
        from google.cloud.resourcemanager_v3.services.projects import ProjectsClient as Client
        from google.cloud.resourcemanager_v3.services.projects.transports import ProjectsGrpcTransport as Transport

        return _client(Client, Transport, Api.RESOURCES, identity, io)

    return io.once.get(("gcp", "projects", io.vantage, identity), make)


def folders(identity: GcpIdentity, io: Io) -> FoldersClient:
    """Client of Resource Manager's folders. Raises ProbeError."""

    def make() -> FoldersClient:
        from google.cloud.resourcemanager_v3.services.folders import FoldersClient as Client
        from google.cloud.resourcemanager_v3.services.folders.transports import FoldersGrpcTransport as Transport

        return _client(Client, Transport, Api.RESOURCES, identity, io)

    return io.once.get(("gcp", "folders", io.vantage, identity), make)


def organizations(identity: GcpIdentity, io: Io) -> OrganizationsClient:
    """Client of Resource Manager's organizations. Raises ProbeError."""

    def make() -> OrganizationsClient:
        from google.cloud.resourcemanager_v3.services.organizations import OrganizationsClient as Client
        from google.cloud.resourcemanager_v3.services.organizations.transports import (
            OrganizationsGrpcTransport as Transport,
        )

        return _client(Client, Transport, Api.RESOURCES, identity, io)

    return io.once.get(("gcp", "organizations", io.vantage, identity), make)


def endpoint(identity: GcpIdentity, api: Api) -> str | None:
    """Host, with an optional port, that the identity names for the API."""
    match api:
        case Api.KMS:
            return identity.api_endpoint
        case Api.LOGGING:
            return identity.logging_endpoint
        case Api.RESOURCES:
            return identity.resource_manager_endpoint


def host(identity: GcpIdentity, api: Api) -> str:
    """Who answers for the API: what the identity names, or the universe's own service."""
    service = {Api.KMS: "cloudkms", Api.LOGGING: "logging", Api.RESOURCES: "cloudresourcemanager"}[api]
    return endpoint(identity, api) or f"{service}.{identity.universe_domain}"


def plaintext_target(identity: GcpIdentity, api: Api, io: Io) -> str:
    """The loopback address to speak to without TLS. Raises ProbeError(unsupported) for every other one.

    A name is looked up once, here, and the address is what is dialled: a second answer cannot lead elsewhere.
    """
    named = endpoint(identity, api)
    if named is None:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"identity {identity.id}: unsafe_plaintext_to_loopback needs an endpoint of this machine for {api}",
        )
    host, _, port = named.partition(":")
    for address in _addresses(host, io):
        if address.is_loopback:
            shown = f"[{address}]" if address.version == 6 else str(address)
            return f"{shown}:{port or 443}"
    raise ProbeError(
        Reason.UNSUPPORTED,
        f"identity {identity.id}: {named} is no loopback address, and tokens are not sent to it in the clear: take "
        "unsafe_plaintext_to_loopback away",
    )


def _addresses(host: str, io: Io) -> Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    if host.lower().rstrip(".") == "localhost":
        return (ipaddress.IPv4Address("127.0.0.1"),)  # by RFC 6761 never anything else
    try:
        return (ipaddress.ip_address(host),)
    except ValueError:
        pass
    try:
        found = [ipaddress.ip_address(each) for each in io.resolver(host, _LOOKUP_S)]
    except ValueError:
        return ()
    # a name that has any other address is not this machine's own
    return found if all(each.is_loopback for each in found) else ()


def _client(client: Callable[..., C], transport: Callable[..., object], api: Api, identity: GcpIdentity, io: Io) -> C:
    """The SDK resolves endpoint, universe and client certificates; the channel and what it carries are ours."""
    import grpc
    from google.api_core.client_options import ClientOptions
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    from probes.clouds.gcp.bearer import with_bearer
    from probes.clouds.gcp.counted import Counted

    held = credentials(identity, io)
    named = endpoint(identity, api)
    if identity.unsafe_plaintext_to_loopback:
        target: str | None = plaintext_target(identity, api, io)
    else:
        target = named
        if named is not None:
            check_endpoint(identity, named)
    limits = (("grpc.max_receive_message_length", MAX_MESSAGE[api]), ("grpc.max_send_message_length", MAX_MESSAGE[api]))

    def tokens_of(given: object) -> Tokens:
        # the SDK makes a copy of an account's credential, which signs its own tokens
        return _tokens(identity, io) if given is held else _made(given, io)

    def plain(_host: str, **given: object) -> grpc.Channel:
        # a proxy from the environment would carry the token off this machine
        options = (*limits, ("grpc.enable_http_proxy", 0))
        return with_bearer(
            Counted(grpc.insecure_channel(str(target), options=options)), tokens_of(given["credentials"])
        )

    def secure(host: str, **given: object) -> grpc.Channel:
        check_endpoint(identity, host)
        options = (*limits, *_proxy(io))
        # the scheme is ours: a host named like one of gRPC's would be taken for it
        channel = grpc.secure_channel(f"dns:///{host}", _way(given.get("ssl_credentials"), io), options=options)
        return with_bearer(Counted(channel), tokens_of(given["credentials"]))

    def build(**given: object) -> object:
        return transport(channel=plain if identity.unsafe_plaintext_to_loopback else secure, **given)

    options = ClientOptions(api_endpoint=target, universe_domain=identity.universe_domain)
    try:
        return client(credentials=held, transport=build, client_options=options)
    except (GoogleAuthError, GoogleAPICallError) as error:
        raise translated(error, f"{api}: connect", identity.id) or error from None


def _proxy(io: Io) -> tuple[tuple[str, str], ...]:
    """The proxy that connections from the vantage must go through; without one, the environment's."""
    return () if io.vantage.proxy is None else (("grpc.http_proxy", io.vantage.proxy),)


def _way(given: object, io: Io) -> grpc.ChannelCredentials:
    """The vantage's trust store instead of the system's, unless client certificates already made one."""
    import grpc

    if isinstance(given, grpc.ChannelCredentials):
        return given
    if io.vantage.ca_bundle is None:
        return grpc.ssl_channel_credentials()
    try:
        roots = read_regular(io.base / io.vantage.ca_bundle, MAX_BUNDLE)
    except OSError as error:
        raise ProbeError(Reason.UNREACHABLE, f"the vantage's ca_bundle cannot be read: {error.strerror}") from None
    return grpc.ssl_channel_credentials(root_certificates=roots)


def refresh(identity: GcpIdentity, io: Io, seconds: float = TOKEN_S) -> None:
    """Have a token that is not past its end, where the credential gets one from a token service; over within `seconds`.

    Raises google-auth's errors, ProbeError(timeout).
    """
    from google.oauth2 import service_account

    held = credentials(identity, io)
    if not isinstance(held, service_account.Credentials):  # these sign their own tokens
        _tokens(identity, io).ready(seconds)


def spoken(io: Io) -> Spoken:
    """The tokens that this run has sent."""
    return io.once.get(("gcp", "spoken"), Spoken)


def _tokens(identity: GcpIdentity, io: Io) -> Tokens:
    return io.once.get(("gcp", "tokens", io.vantage, identity), lambda: _made(credentials(identity, io), io))


def _made(held: object, io: Io) -> Tokens:
    return Tokens(held, lambda seconds: TokenTransport(io, seconds), io.monotonic, spoken(io))


def _load(identity: GcpIdentity, base: Path) -> Credentials:
    import google.auth
    from cryptography.exceptions import UnsupportedAlgorithm
    from google.auth import exceptions, impersonated_credentials

    try:
        if identity.credentials is None:
            held, _ = google.auth.default(scopes=SCOPES)
        else:
            held = credential(identity, identity.credentials, base)
        if identity.impersonate is not None:
            held = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
                source_credentials=held, target_principal=identity.impersonate, target_scopes=list(SCOPES)
            )
        if identity.quota_project is not None and hasattr(held, "with_quota_project"):
            held = held.with_quota_project(identity.quota_project)
        universe = held.universe_domain
    except exceptions.GoogleAuthError as error:
        raise translated(error, "credentials", identity.id) or error from None
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm):
        # google-auth's readers raise these for documents of the wrong shape; their texts may quote the document
        raise login_failed(identity.id, "the document is of no known kind") from None
    if universe != identity.universe_domain:
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"identity {identity.id}: its credential is of another universe than {identity.universe_domain}",
        )
    return held
