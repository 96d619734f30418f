"""Sessions of the AWS SDK for the deployment's identities: profile, assumed role, proxy and trust."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from keycheck.errors import ProbeError
from keycheck.model.deployment import AwsIdentity, Vantage
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.keys.aws.bounded import bound

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.session import Session as CoreSession

ATTEMPTS: Final = 3
"""Of one call, with the SDK's growing pauses between them."""
MAX_SECRET: Final = 1224
"""Characters of an ExternalId, as STS limits it."""


def making(once: Once) -> threading.Lock:
    """Held while sessions and clients are made, which the SDK does not do side by side."""
    return once.get(("aws", "making"), threading.Lock)


def verify_for(vantage: Vantage, base: Path) -> str | None:
    """The vantage's own trust store; None: the SDK's conventions."""
    return str(base / vantage.ca_bundle) if vantage.ca_bundle else None


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
    return config.merge(Config(proxies={"http": vantage.proxy, "https": vantage.proxy}))


def session_for(io: Io, identity: AwsIdentity | None, region: str) -> Session:
    """The session of an identity; None: of the SDK's own chain. `region` is where a role is assumed unless the identity
    names another. Raises ProbeError and what the SDK raises."""
    from boto3.session import Session

    with making(io.once):
        source = _core(io, identity)
        role = identity.role_arn if identity else None
        if identity is None or role is None:
            return Session(botocore_session=source)
        assumed = _core(io, identity)
        assumed.register_component("credential_provider", _assuming(io, identity, role, source, region))
        return Session(botocore_session=assumed)


def _core(io: Io, identity: AwsIdentity | None) -> CoreSession:
    """A session that shares what was read of the SDK's large service descriptions with all others. An identity's own
    configuration file stands for both of the ambient files, so that nothing of theirs mixes in."""
    from botocore.loaders import create_loader
    from botocore.session import Session

    core = Session(profile=identity.profile if identity else None)
    if identity is not None and identity.config_file is not None:
        path = str(io.base / identity.config_file)
        core.set_config_variable("config_file", path)
        core.set_config_variable("credentials_file", path)
    core.register_component(
        "data_loader", io.once.get(("aws", "loader"), lambda: create_loader(core.get_config_variable("data_path")))
    )
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
        arguments |= {
            "region_name": identity.region or region,
            "config": config_for(io.vantage, 10.0),
            "verify": verify_for(io.vantage, io.base),
        }
        with making(io.once):
            client = make(service, **arguments)
        bound(client)
        return client

    return CredentialResolver([Assuming()])


def _secret(io: Io, reference: str) -> str:
    """What `env:NAME` or `file:PATH` points at. Raises ProbeError, which never holds it."""
    kind, _, where = reference.partition(":")
    try:
        value = os.environ.get(where, "") if kind == "env" else _first_bytes(io.base / where).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"external_id {reference}: cannot be read ({type(error).__name__})"
        ) from error
    if not 2 <= len(value) <= MAX_SECRET:
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"external_id {reference}: nothing of 2 to {MAX_SECRET} characters is there"
        )
    return value


def _first_bytes(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_SECRET + 2).decode("utf-8")
