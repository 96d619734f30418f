"""Sessions of the AWS SDK for the deployment's identities: profile, assumed role, proxy and trust."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from keycheck.errors import ProbeError
from keycheck.model.deployment import AwsIdentity, Vantage
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.aws.bounded import bound
from probes.clouds.aws.config_file import ConfigFile, read_config
from probes.clouds.aws.files import below, read_regular, regular

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.session import Session as CoreSession

ATTEMPTS: Final = 3
"""Of one call, with the SDK's growing pauses between them."""
MAX_SECRET: Final = 1224
"""Characters of an ExternalId, as STS limits it."""
_EXTERNAL_ID: Final = re.compile(rf"[\w+=,.@:/-]{{2,{MAX_SECRET}}}", re.ASCII)
"""STS API reference, AssumeRole. It is sent to whoever is STS: so no key file, whatever its name."""


def making(once: Once) -> AbstractContextManager[bool]:
    """Held while sessions and clients are made, which the SDK does not do side by side. Never held while credentials
    are looked for: that can run programs and wait for people."""
    return once.get(("aws", "making"), threading.RLock)


def verify_for(vantage: Vantage, base: Path) -> str | None:
    """The vantage's own trust store; None: the SDK's conventions. Raises ProbeError when it is no regular file."""
    if not vantage.ca_bundle:
        return None
    return str(regular(f"ca_bundle {vantage.ca_bundle} of the vantage", base / vantage.ca_bundle))


def config_for(vantage: Vantage, seconds: float, connections: int = 2) -> Config:
    """How clients behave: `seconds` is the longest wait for the next bytes of an answer."""
    from botocore.config import Config

    config = Config(
        connect_timeout=min(5.0, seconds),
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=connections,
        user_agent_extra="keycheck",
    )
    if vantage.proxy is None:
        return config
    # What is not encrypted goes to this machine alone, and so never through a proxy.
    return config.merge(Config(proxies={"https": vantage.proxy}))


def session_for(io: Io, identity: AwsIdentity | None, region: str) -> Session:
    """The session of an identity; None: of the SDK's own chain. `region` is where a role is assumed unless the identity
    names another. Its credentials have been looked for. Raises ProbeError and what the SDK raises."""
    from boto3.session import Session

    given = None
    if identity is not None and identity.config_file is not None:
        given = read_config(io.base / identity.config_file, identity.config_file, identity.profile)
    source = core = _core(io, identity, given)
    if given is not None:
        source.set_credentials(given.access_key_id, given.secret, given.token)
    if identity is not None and identity.role_arn is not None:
        core = _core(io, identity, given)
        core.register_component("credential_provider", _assuming(io, identity, identity.role_arn, source, region))
    source.get_credentials()
    with making(io.once):
        return Session(botocore_session=core)


def _core(io: Io, identity: AwsIdentity | None, given: ConfigFile | None) -> CoreSession:
    """A session that shares what was read of the SDK's large service descriptions with all others, and whose every
    client is bounded: those too that the SDK makes by itself to get credentials.

    What was `given` stands for both of the ambient files and for all credentials of this machine.
    """
    from botocore.loaders import create_loader
    from botocore.session import Session

    class Bounded(Session):
        @property
        def full_config(self) -> dict[str, object]:
            if given is None:
                return cast("dict[str, object]", super().full_config)
            profiles = {given.profile: dict(given.settings)}
            return {"profiles": profiles, "services": dict(given.services), "sso_sessions": {}}

        def create_client(self, *arguments: object, **named: object) -> BaseClient:
            make = cast("Callable[..., BaseClient]", super().create_client)
            self.get_credentials()
            with making(io.once):
                client = make(*arguments, **named)
            bound(client)
            return client

    core = Bounded(profile=given.profile if given else identity.profile if identity else None)
    # Without the configuration's `data_path`: descriptions say where requests go.
    core.register_component("data_loader", io.once.get(("aws", "loader"), create_loader))
    core.set_default_client_config(config_for(io.vantage, 10.0))
    if (trusted := verify_for(io.vantage, io.base)) is not None:
        core.set_config_variable("ca_bundle", trusted)
    return core


def _assuming(io: Io, identity: AwsIdentity, role: str, source: CoreSession, region: str) -> object:
    """A credential resolver that assumes the identity's role, and again when the session runs out."""
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.exceptions import NoCredentialsError

    external_id = _secret(io, identity.external_id) if identity.external_id else None

    class Assuming(CredentialProvider):
        METHOD = "assume-role"

        def load(self) -> DeferredRefreshableCredentials:
            credentials = source.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            fetcher = AssumeRoleCredentialFetcher(
                client_creator=_creator,
                source_credentials=credentials,
                role_arn=role,
                extra_args={
                    "RoleSessionName": "keycheck",
                    **({"ExternalId": external_id} if external_id is not None else {}),
                },
            )
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    def _creator(service: str, **arguments: object) -> BaseClient:
        make = cast("Callable[..., BaseClient]", source.create_client)
        return make(service, **arguments | {"region_name": identity.region or region})

    return CredentialResolver([Assuming()])


def _secret(io: Io, reference: str) -> str:
    """What `env:NAME` or `file:PATH` points at. Raises ProbeError, which never holds it."""
    kind, _, where = reference.partition(":")
    what = f"external_id {reference}:"
    if kind == "env":
        value = os.environ.get(where, "")
    else:
        content = read_regular(what, below(what, io.base, where), 4 * MAX_SECRET)
        value = content.decode("utf-8", "replace").strip()
    if _EXTERNAL_ID.fullmatch(value) is None:
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"{what} nothing of 2 to {MAX_SECRET} characters is there, of letters, digits and +=,.@:/-_ alone",
        )
    return value
