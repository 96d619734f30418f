"""Key policies and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.errors import KmsError, not_found
from keycheck.lab.aws.kms.params import Params
from keycheck.lab.aws.policy import PolicyError, check_document, locks_out
from keycheck.lab.aws.seams import Document

TAGS: Final = 50
POLICY_BYTES: Final = 32_768
_INVALID_PRINCIPALS: Final = "Policy contains a statement with one or more invalid principals."


def checked_policy(call: Call, account: str, *, required: bool = False) -> str | None:
    """The Policy parameter, checked as KMS does: syntax, principals that exist, no lock-out of the caller.

    Raise MalformedPolicyDocumentException.
    """
    text = call.params.maybe("Policy")
    if text is None and not required:
        return None
    if text is None or len(text) > POLICY_BYTES:
        raise KmsError("LimitExceededException", "The policy document is too long.")
    try:
        document = check_document(text)
    except PolicyError as error:
        raise _malformed(str(error)) from None
    for name in _principals(document):
        digits = len(name) == 12 and name.isdecimal()
        if name != "*" and not digits and not name.endswith(":root") and not call.exists(name):
            raise _malformed(_INVALID_PRINCIPALS)
    bypass = call.params.flag("BypassPolicyLockoutSafetyCheck")
    if not bypass and locks_out(document, account, call.caller):
        raise _malformed("The new key policy will not allow you to update the key policy in the future.")
    return text


def put_key_policy(call: Call) -> Result:
    """PutKeyPolicy; only `default` can be written."""
    key = call.key()
    call.may(key)
    if call.params.text("PolicyName", "default") != "default":
        raise not_found("No such policy exists")
    call.steady(key)
    text = checked_policy(call, key.account, required=True) or ""
    with call.holdings.lock:
        lag = call.holdings.faults.lags.policy
        key.policies.put({**key.policies.value, "default": text}, call.now, lag)
    return {}


def get_key_policy(call: Call) -> Result:
    """GetKeyPolicy, of `default` and of `AWS_RAM` where the key has one."""
    key = call.key()
    call.may(key)
    name = call.params.text("PolicyName", "default")
    if name not in key.policies.value:
        raise not_found("No such policy exists")
    return {"Policy": key.policies.value[name], "PolicyName": name}


def list_key_policies(call: Call) -> Result:
    """ListKeyPolicies."""
    key = call.key()
    call.may(key)
    names = sorted(key.policies.value, key=lambda name: (name != "default", name))
    return call.page(names, "PolicyNames")


def tag_resource(call: Call) -> Result:
    """TagResource."""
    key = call.key()
    tags = checked_tags(call.params)
    asked = {f"aws:RequestTag/{name}": (value,) for name, value in tags.items()}
    call.may(key, conditions={**asked, "aws:TagKeys": tuple(tags)})
    call.steady(key)
    if len(key.tags | tags) > TAGS:
        raise _tag_fault("Too many tags")
    key.tags |= tags
    return {}


def untag_resource(call: Call) -> Result:
    """UntagResource."""
    key = call.key()
    names = call.params.names("TagKeys")
    call.may(key, conditions={"aws:TagKeys": names})
    call.steady(key)
    for name in names:
        key.tags.pop(name, None)
    return {}


def list_resource_tags(call: Call) -> Result:
    """ListResourceTags."""
    key = call.key()
    call.may(key)
    lines = [{"TagKey": name, "TagValue": value} for name, value in sorted(key.tags.items())]
    return call.page(lines, "Tags", limit=50)


def checked_tags(params: Params) -> dict[str, str]:
    """The Tags parameter; raise TagException."""
    given = [(tag.text("TagKey"), tag.text("TagValue")) for tag in params.parts("Tags")]
    if len(given) > TAGS:
        raise _tag_fault("Too many tags")
    tags = dict(given)
    if len(tags) < len(given):
        raise _tag_fault("Duplicate tag keys")
    if any(name.lower().startswith("aws:") for name in tags):
        raise _tag_fault("Tags beginning with aws: are reserved")
    return tags


def _malformed(message: str) -> KmsError:
    return KmsError("MalformedPolicyDocumentException", message)


def _tag_fault(message: str) -> KmsError:
    return KmsError("TagException", message)


def _principals(document: Document) -> list[str]:
    """The AWS principals that the statements name."""
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list | tuple) else [statements]
    out: list[str] = []
    for statement in listed:
        if not isinstance(statement, dict):
            continue
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            names = named.get("AWS") if isinstance(named, dict) else None
            if isinstance(names, str):
                out.append(names)
            elif isinstance(names, Sequence):
                out += [name for name in names if isinstance(name, str)]
    return out
