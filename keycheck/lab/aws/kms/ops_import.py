"""Imported key material: parameters, import, deletion."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives import serialization

from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.errors import KmsError, bad_state, invalid, unsupported, wrong_material
from keycheck.lab.aws.kms.material import Secret, fingerprint, imported, unwrap
from keycheck.lab.aws.kms.model import Imported, Key, Material, MaterialState, Origin
from keycheck.lab.aws.kms.specs import Kind
from keycheck.lab.aws.kms.state import Holdings, ImportToken

TOKEN_LIFE: Final = timedelta(hours=24)
LONGEST: Final = timedelta(days=365)
_TOKEN: Final = 512


def get_parameters_for_import(call: Call) -> Result:
    """GetParametersForImport: a wrapping key, and a token that holds for a day and for this key alone."""
    key = call.key()
    call.may(key)
    _external(key)
    call.steady(key)
    algorithm, spec = call.params.text("WrappingAlgorithm"), call.params.text("WrappingKeySpec")
    if algorithm in ("RSAES_PKCS1_V1_5", "SM2PKE") or spec == "SM2":
        raise unsupported()
    if key.ring.spec.kind is Kind.RSA and algorithm.startswith("RSAES_OAEP"):
        raise invalid(f"WrappingAlgorithm {algorithm} is not compatible with KeySpec {key.ring.spec.name}.")
    wrapping = call.holdings.wrapping_key(spec)
    token = call.holdings.entropy(_TOKEN)
    expires = call.now + TOKEN_LIFE
    call.holdings.import_tokens[token] = ImportToken(key.arn, algorithm, expires, wrapping)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        "KeyId": key.arn,
        "ImportToken": token,
        "PublicKey": wrapping.public_key().public_bytes(serialization.Encoding.DER, form),
        "ParametersValidTo": expires,
    }


def import_key_material(call: Call) -> Result:
    """ImportKeyMaterial.

    The first material stays the key's for ever; another one comes as NEW_KEY_MATERIAL, to symmetric keys only, and
    waits for its rotation; and what was deleted or expired can come back if it is the same.
    """
    key = call.key()
    call.may(key)
    _external(key)
    call.steady(key)
    params = call.params
    expires = _expiry(call)
    token = call.holdings.import_tokens.get(params.octets("ImportToken"))
    if token is None or token.key_arn != key.arn:
        raise KmsError("InvalidImportTokenException")
    if token.expires <= call.now:
        raise KmsError("ExpiredImportTokenException")
    secret = imported(key.ring.spec, unwrap(token.wrapping, token.algorithm, params.octets("EncryptedKeyMaterial")))
    expected = params.maybe("KeyMaterialId")
    if expected is not None and expected != fingerprint(key.id, secret):
        raise wrong_material("The key material does not have the KeyMaterialId given.")
    present = Imported(expires, params.maybe("KeyMaterialDescription"))
    material = take(call.holdings, key, secret, present, params.maybe("ImportType"), call.now)
    out = {"KeyId": key.arn}
    if key.ring.spec.kind is Kind.SYMMETRIC:
        out["KeyMaterialId"] = material.id
    call.logged = out
    return out


def take(holdings: Holdings, key: Key, secret: Secret, present: Imported, kind: str | None, now: datetime) -> Material:
    """Give an EXTERNAL key unwrapped material. Raise IncorrectKeyMaterialException or KMSInvalidStateException."""
    ring = key.ring
    material_id = fingerprint(key.id, secret)
    with holdings.lock:
        known = ring.material(material_id)
        if known is None:
            first = not any(item.state.permanent for item in ring.materials)
            primary = key.region == ring.primary
            if (not first and kind != "NEW_KEY_MATERIAL") or (first and kind == "EXISTING_KEY_MATERIAL") or not primary:
                raise wrong_material("The key material is not the one that was imported into this key before.")
            if not first and ring.spec.kind is not Kind.SYMMETRIC:
                raise unsupported()
            if ring.pending is not None:
                raise bad_state(
                    f"New key material (id: {material_id}) cannot be imported into KMS key {key.arn}, because another "
                    f"key material (id: {ring.pending.id}) is pending rotation."
                )
            state = MaterialState.CURRENT if first else MaterialState.PENDING_ROTATION
            known = holdings.add_material(key, secret, now, state)
        elif kind == "NEW_KEY_MATERIAL" and known.state.permanent:
            raise wrong_material("The key material already belongs to this key; import it as EXISTING_KEY_MATERIAL.")
        key.linger(key.state_in_use(now), now, holdings.faults.lags.state)
        key.imports[known.id] = present
        _follow(holdings, key, known, now)
    return known


def delete_imported_key_material(call: Call) -> Result:
    """DeleteImportedKeyMaterial: of the current material unless another is named."""
    key = call.key()
    call.may(key)
    _external(key)
    call.steady(key)
    holdings = call.holdings
    named = call.params.maybe("KeyMaterialId")
    material = key.ring.current if named is None else key.ring.material(named)
    if named is not None and material is None:
        raise KmsError("NotFoundException", f"Key material {named} does not exist in {key.arn}.")
    out = {"KeyId": key.arn}
    if material is not None:
        with holdings.lock:
            key.linger(key.state_in_use(call.now), call.now, holdings.faults.lags.state)
            key.imports.pop(material.id, None)
            if not material.state.permanent and key.region == key.ring.primary:
                holdings.forget_material(key, material)
            elif not material.state.permanent:
                _follow(holdings, key, material, call.now)
        if key.ring.spec.kind is Kind.SYMMETRIC:
            out["KeyMaterialId"] = material.id
    call.logged = out
    return out


def _follow(holdings: Holdings, key: Key, material: Material, now: datetime) -> None:
    """A pending material of a multi-Region key may be rotated to once every replica has it."""
    if not material.state.permanent:
        everywhere = all(other.has(material, now) for other in (key, *holdings.replicas(key)))
        material.state = MaterialState.PENDING_ROTATION if everywhere else MaterialState.PENDING_MULTI_REGION


def _expiry(call: Call) -> datetime | None:
    given = call.params.when("ValidTo")
    if call.params.text("ExpirationModel", "KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_DOES_NOT_EXPIRE":
        if given is not None:
            raise invalid("A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE")
        return None
    if given is None:
        raise invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    if not call.now < given <= call.now + LONGEST:
        raise invalid("The validTo date must be in the future and at most 365 days away")
    return given


def _external(key: Key) -> None:
    if key.ring.origin is not Origin.EXTERNAL:
        raise unsupported(f"{key.arn} origin is {key.ring.origin} which is not valid for this operation.")
