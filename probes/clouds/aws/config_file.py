"""The AWS configuration file that a deployment brings along.

The SDK's own configuration can run programs, read any file and name any host to get credentials from. That is fine for
files of one's own, and not for one that came with a deployment which somebody else wrote. So this one is not handed to
the SDK: it is read here, may hold little, and the SDK gets what was read.
Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
"""

from __future__ import annotations

import configparser
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.files import read_regular

MAX_BYTES: Final = 64 * 1024
_KEYS: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_ALLOWED: Final = frozenset({*_KEYS, "region", "services"})
_ENDPOINT: Final = "endpoint_url"
_KNOWN: Final = frozenset(
    {
        "ca_bundle",
        "credential_process",
        "credential_source",
        "data_path",
        "endpoint_url",
        "external_id",
        "login_session",
        "mfa_serial",
        "output",
        "role_arn",
        "role_session_name",
        "source_profile",
        "sso_account_id",
        "sso_region",
        "sso_role_name",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    }
)
"""Settings whose names may stand in a message. Other names may be words of a file that is none of AWS's at all."""
_MAY_HOLD: Final = (
    f"it may hold [default], [profile NAME] with {', '.join(sorted(_ALLOWED))}, and [services NAME] with an "
    f"{_ENDPOINT} for each service; name a role as the identity's `role_arn`, or leave `config_file` out to use the "
    "AWS configuration of this machine"
)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One profile of the file, and all its services."""

    profile: str
    settings: Mapping[str, str]
    """Without the keys."""
    services: Mapping[str, Mapping[str, Mapping[str, str]]]
    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)


def read_config(path: Path, named: str, profile: str | None) -> ConfigFile:
    """The file at `path`, which the deployment calls `named`; its profile `default` unless another is named.

    Raises ProbeError(permission-denied) for what it may not hold, and for a profile without keys: credentials of this
    machine are never used with configuration that came with a deployment.
    """
    what = f"config_file {vendor_text(named, 100)}:"
    parsed = _parsed(what, read_regular(what, path, MAX_BYTES))
    profiles: dict[str, Mapping[str, str]] = {}
    services: dict[str, Mapping[str, Mapping[str, str]]] = {}
    for section in parsed.sections():
        kind, name = _section(what, section)
        if kind == "services":
            services[name] = {key: _nested(what, value) for key, value in parsed.items(section)}
        else:
            profiles[name] = _settings(what, parsed, section)
    wanted = profile or "default"
    if wanted not in profiles:
        raise _refused(
            f"{what} it has no such profile {vendor_text(wanted, 100)}; name one as the identity's `profile`"
        )
    found = profiles[wanted]
    id, secret, token = (found.get(name) for name in _KEYS)
    if not id or not secret:
        raise _refused(
            f"{what} profile {vendor_text(wanted, 100)} has no usable credentials: it needs {_KEYS[0]} and {_KEYS[1]}, "
            "as none of this machine's are used with such a file"
        )
    plain = {name: value for name, value in found.items() if name not in _KEYS}
    return ConfigFile(wanted, plain, services, id, secret, token or None)


def _parsed(what: str, content: bytes) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error, AttributeError) as error:
        # Their words quote the file.
        raise _refused(f"{what} it is no AWS configuration ({type(error).__name__}); mend it") from None
    if parser.defaults():
        raise _refused(f"{what} it has a section [DEFAULT]; {_MAY_HOLD}")
    return parser


def _section(what: str, section: str) -> tuple[str, str]:
    try:
        words = shlex.split(section)
    except ValueError:
        words = []
    match words:
        case ["default"] | ["profile", "default"]:
            return "profile", "default"
        case ["profile" | "services" as kind, name]:
            return kind, name
        case _:
            raise _refused(f"{what} it has a section that is none of a profile or of services; {_MAY_HOLD}")


def _settings(what: str, parsed: configparser.RawConfigParser, section: str) -> Mapping[str, str]:
    settings = dict(parsed.items(section))
    for name, value in settings.items():
        if name not in _ALLOWED or "\n" in value:
            raise _refused(f"{what} {name if name in _KNOWN else 'a setting'} is not allowed there; {_MAY_HOLD}")
    return settings


def _nested(what: str, value: str) -> Mapping[str, str]:
    """The indented settings of one service."""
    lines = [line.strip() for line in value.splitlines() if line.strip()]
    settings = {name.strip(): rest.strip() for name, found, rest in (line.partition("=") for line in lines) if found}
    if not value.startswith("\n") or len(settings) != len(lines) or settings.keys() - {_ENDPOINT}:
        raise _refused(f"{what} a [services …] section holds more than an {_ENDPOINT} for each service; {_MAY_HOLD}")
    return settings


def _refused(why: str) -> ProbeError:
    return ProbeError(Reason.PERMISSION_DENIED, vendor_text(why, 480))
