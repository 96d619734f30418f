"""Credential documents, checked before Google's library reads them.

A document says where its secrets are fetched from and to whom they are sent. Whoever wrote the deployment wrote the
document too, perhaps, and is not trusted with that: secrets come from the document itself, from a file beside the
deployment or from a cloud's metadata service, and go to the universe's own token services. Nothing is run. See
https://cloud.google.com/docs/authentication/external/externally-sourced-credentials.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from probes.clouds.gcp.errors import login_failed, no_token
from probes.clouds.gcp.files import below, read_regular
from probes.clouds.gcp.universes import issues_tokens, of_aws_sts, of_metadata

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
"""Cloud KMS accepts no read-only scope; what may be done is bounded by the identity's roles."""
MAX_CREDENTIAL: Final = 65_536
_ACCOUNT: Final = ("type", "project_id", "private_key_id", "private_key", "client_email", "client_id", "token_uri")
_USER: Final = ("type", "client_id", "client_secret", "refresh_token", "rapt_token", "account")
_EXTERNAL: Final = (
    "type",
    "audience",
    "subject_token_type",
    "token_url",
    "service_account_impersonation_url",
    "service_account_impersonation",
    "client_id",
    "client_secret",
    "workforce_pool_user_project",
)
_IMPERSONATED: Final = ("type", "service_account_impersonation_url", "delegates")
_COMMON: Final = ("universe_domain", "quota_project_id")


def credential(identity: GcpIdentity, reference: str, base: Path) -> Credentials:
    """The credential of a `file:` or `env:` reference. Raises ProbeError(permission-denied), and what google-auth
    raises for documents of the wrong shape; no text of ours quotes the document."""
    return _of_document(_document(identity.id, reference, base), identity, base)


def _of_document(info: Mapping[str, object], identity: GcpIdentity, base: Path) -> Credentials:
    from google.auth import impersonated_credentials
    from google.oauth2 import service_account

    match info.get("type"):
        case "service_account":
            return _made(service_account.Credentials.from_service_account_info, _account(info, identity))
        case "authorized_user":
            return _user(info)
        case "impersonated_service_account":
            make = impersonated_credentials.Credentials.from_impersonated_service_account_info
            return _made(make, _impersonated(info, identity))
        case "external_account":
            return _external(info, identity, base)
        case _:
            raise login_failed(identity.id, "its document is of no kind that is read")


def _user(info: Mapping[str, object]) -> Credentials:
    from google.oauth2 import credentials as user

    make: Callable[..., Credentials] = user.Credentials.from_authorized_user_info
    return make(_only(info, _USER))  # its scopes were fixed when the user consented


def _account(info: Mapping[str, object], identity: GcpIdentity) -> dict[str, object]:
    if not issues_tokens(info.get("token_uri"), identity, "oauth2"):
        raise _elsewhere(identity, "token_uri")
    return _only(info, _ACCOUNT)


def _impersonated(info: Mapping[str, object], identity: GcpIdentity) -> dict[str, object]:
    source = info.get("source_credentials")
    if not isinstance(source, dict):
        raise login_failed(identity.id, "its document is of no kind that is read")
    match source.get("type"):
        case "service_account":
            within = _account(source, identity)
        case "authorized_user":
            within = _only(source, _USER)
        case _:
            raise login_failed(identity.id, "its source credential is of no kind that is read")
    _check(info, "service_account_impersonation_url", "iamcredentials", identity)
    return {**_only(info, _IMPERSONATED), "source_credentials": within}


def _external(info: Mapping[str, object], identity: GcpIdentity, base: Path) -> Credentials:
    from google.auth import aws, identity_pool

    _check(info, "token_url", "sts", identity)
    if info.get("service_account_impersonation_url") is not None:
        _check(info, "service_account_impersonation_url", "iamcredentials", identity)
    given = _only(info, _EXTERNAL)
    source = info.get("credential_source")
    if not isinstance(source, dict):
        raise _source_refused(identity)
    match source:
        case {"environment_id": str()} if _of_aws(source):
            return _made(aws.Credentials.from_info, {**given, "credential_source": source})
        case {"file": str(name), **rest} if rest.keys() <= {"format"}:
            supplier = SubjectFile(base, name, _field(source, identity))
            return _made(identity_pool.Credentials.from_info, given, subject_token_supplier=supplier)
        case {"url": str(url), **rest} if rest.keys() <= {"format", "headers"} and of_metadata(url):
            return _made(identity_pool.Credentials.from_info, {**given, "credential_source": source})
        case _:
            raise _source_refused(identity)


def _made(make: Callable[..., Credentials], info: Mapping[str, object], **given: object) -> Credentials:
    return make(info, scopes=SCOPES, **given)


def _of_aws(source: Mapping[str, object]) -> bool:
    asked = [source.get(each) for each in ("url", "region_url", "imdsv2_session_token_url")]
    return of_aws_sts(source.get("regional_cred_verification_url")) and all(
        each is None or of_metadata(each) for each in asked
    )


class SubjectFile:
    """Supplies the token of another identity provider from a file, read again each time: it is renewed in place."""

    def __init__(self, base: Path, name: str, field: str | None) -> None:
        self._base = base
        self._name = name
        self._field = field

    def get_subject_token(self, context: object, request: object) -> str:
        """The token. Raises google-auth's RefreshError."""
        try:
            text = read_regular(below(self._base, self._name), MAX_CREDENTIAL).decode()
            token = text if self._field is None else json.loads(text)[self._field]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise no_token("the file of credential_source cannot be read") from None
        if not isinstance(token, str) or not token:
            raise no_token("the file of credential_source holds no token")
        return token


def _field(source: Mapping[str, object], identity: GcpIdentity) -> str | None:
    match source.get("format"):
        case None | {"type": "text"}:
            return None
        case {"type": "json", "subject_token_field_name": str(name)}:
            return name
        case _:
            raise _source_refused(identity)


def _only(info: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    """The fields that are known: an unknown one could change where secrets go."""
    return {name: info[name] for name in (*names, *_COMMON) if name in info}


def _check(info: Mapping[str, object], field: str, service: str, identity: GcpIdentity) -> None:
    if not issues_tokens(info.get(field), identity, service):
        raise _elsewhere(identity, field)


def _elsewhere(identity: GcpIdentity, field: str) -> ProbeError:
    return login_failed(
        identity.id, f"its document's {field} is no https address of a token service of {identity.universe_domain}"
    )


def _source_refused(identity: GcpIdentity) -> ProbeError:
    return login_failed(
        identity.id,
        "its document's credential_source is neither a file below the deployment's directory nor a cloud's metadata "
        "service",
    )


def _document(identity: str, reference: str, base: Path) -> dict[str, object]:
    """Never shown, neither as such nor in an error."""
    kind, _, name = reference.partition(":")
    try:
        text = os.environ[name].encode() if kind == "env" else read_regular(below(base, name), MAX_CREDENTIAL)
        info = json.loads(text) if len(text) <= MAX_CREDENTIAL else None
    except KeyError:
        raise login_failed(identity, f"environment variable {name} is not set") from None
    except OSError as error:
        raise login_failed(identity, f"its file cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise login_failed(identity, "its document is not JSON") from None
    if not isinstance(info, dict):
        raise login_failed(identity, "its document is no JSON object, or too long")
    return info
