"""Cryptographic operations of KMS."""

from __future__ import annotations

from collections.abc import Mapping

from keycheck.lab.aws.kms import blob
from keycheck.lab.aws.kms import material as crypto
from keycheck.lab.aws.kms.call import Call, Result, material_id
from keycheck.lab.aws.kms.errors import (
    KmsError,
    bad_ciphertext,
    bad_state,
    invalid,
    unseen_ciphertext,
    unsupported,
    wrong_key,
)
from keycheck.lab.aws.kms.model import Key, Material
from keycheck.lab.aws.kms.specs import ALGORITHM_FIELDS, SPECS, Kind

_SYMMETRIC = "SYMMETRIC_DEFAULT"


def encrypt(call: Call) -> Result:
    """Encrypt."""
    key = call.key()
    algorithm = call.params.text("EncryptionAlgorithm", _SYMMETRIC)
    context = call.params.pairs("EncryptionContext")
    call.may(key, context=context)
    _for_usage(call, key, "ENCRYPT_DECRYPT", algorithm)
    call.usable(key)
    sealed = _seal(call, key, algorithm, call.params.octets("Plaintext"), context, blob.BY_ENCRYPT)
    call.end_dry_run()
    call.note_use(key, material_id(key))
    return {"CiphertextBlob": sealed, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}


def decrypt(call: Call) -> Result:
    """Decrypt."""
    _no_enclave(call)
    context = call.params.pairs("EncryptionContext")
    algorithm = call.params.text("EncryptionAlgorithm", _SYMMETRIC)
    key, material, plaintext = _open(call, "KeyId", "Decrypt", algorithm, context)
    call.end_dry_run()
    used = material_id(key) and material.id
    call.note_use(key, used)
    out: dict[str, object] = {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": algorithm}
    if used:
        out["KeyMaterialId"] = used
    return out


def re_encrypt(call: Call) -> Result:
    """ReEncrypt: ReEncryptFrom on the source, ReEncryptTo on the destination."""
    params = call.params
    before, after = params.pairs("SourceEncryptionContext"), params.pairs("DestinationEncryptionContext")
    old = params.text("SourceEncryptionAlgorithm", _SYMMETRIC)
    new = params.text("DestinationEncryptionAlgorithm", _SYMMETRIC)
    source, material, plaintext = _open(call, "SourceKeyId", "ReEncryptFrom", old, before)
    key = call.key("DestinationKeyId")
    same = {"kms:ReEncryptOnSameKey": ("true" if key is source else "false",)}
    call.may(key, "ReEncryptTo", after, same)
    _for_usage(call, key, "ENCRYPT_DECRYPT", new)
    call.usable(key)
    call.end_dry_run()
    sealed = _seal(call, key, new, plaintext, after, blob.BY_ENCRYPT)
    out: dict[str, object] = {
        "CiphertextBlob": sealed,
        "SourceKeyId": source.arn,
        "KeyId": key.arn,
        "SourceEncryptionAlgorithm": old,
        "DestinationEncryptionAlgorithm": new,
    }
    if material_id(source):
        out["SourceKeyMaterialId"] = material.id
    if (fresh := material_id(key)) is not None:
        out["DestinationKeyMaterialId"] = fresh
    call.note_use(source, material.id if material_id(source) else None, "sourceKeyMaterialId")
    call.note_use(key, fresh, "destinationKeyMaterialId")
    return out


def generate_data_key(call: Call) -> Result:
    """GenerateDataKey and GenerateDataKeyWithoutPlaintext."""
    _no_enclave(call)
    params = call.params
    key = call.key()
    context = params.pairs("EncryptionContext")
    call.may(key, context=context)
    _for_usage(call, key, "ENCRYPT_DECRYPT", _SYMMETRIC)
    size, spec = params.number("NumberOfBytes"), params.maybe("KeySpec")
    if (size is None) == (spec is None):
        raise invalid("Please specify either number of bytes or key spec.")
    call.usable(key)
    call.end_dry_run()
    plaintext = call.holdings.entropy(size or (16 if spec == "AES_128" else 32))
    sealed = _seal(call, key, _SYMMETRIC, plaintext, context, blob.BY_DATA_KEY)
    out: dict[str, object] = {"CiphertextBlob": sealed, "KeyId": key.arn}
    if call.operation == "GenerateDataKey":
        out["Plaintext"] = plaintext
    return _with_material(call, key, out)


def generate_data_key_pair(call: Call) -> Result:
    """GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext."""
    _no_enclave(call)
    key = call.key()
    name = call.params.text("KeyPairSpec")
    context = call.params.pairs("EncryptionContext")
    call.may(key, context=context)
    _for_usage(call, key, "ENCRYPT_DECRYPT", _SYMMETRIC)
    call.usable(key)
    if name not in SPECS or key.store is not None:
        raise unsupported()
    call.end_dry_run()
    pair = crypto.generate(SPECS[name], call.holdings.entropy)
    private = crypto.octets(pair)
    out: dict[str, object] = {
        "PrivateKeyCiphertextBlob": _seal(call, key, _SYMMETRIC, private, context, blob.BY_DATA_KEY),
        "PublicKey": crypto.public_octets(pair),
        "KeyId": key.arn,
        "KeyPairSpec": name,
    }
    if call.operation == "GenerateDataKeyPair":
        out["PrivateKeyPlaintext"] = private
    return _with_material(call, key, out)


def generate_random(call: Call) -> Result:
    """GenerateRandom."""
    _no_enclave(call)
    call.may_here()
    size = call.params.number("NumberOfBytes")
    store = call.params.maybe("CustomKeyStoreId")
    if store is not None:
        found = call.holdings.stores[call.caller.account, call.region].get(store)
        if found is None:
            raise KmsError("CustomKeyStoreNotFoundException")
        if found.kind != "AWS_CLOUDHSM":
            raise unsupported()
        if found.state != "CONNECTED":
            raise KmsError("CustomKeyStoreInvalidStateException")
    if size is None:
        raise invalid("NumberOfBytes is required.")
    return {"Plaintext": call.holdings.entropy(size)}


def generate_mac(call: Call) -> Result:
    """GenerateMac."""
    key, algorithm, current = _ready(call, "GENERATE_VERIFY_MAC", "MacAlgorithm")
    call.end_dry_run()
    code = crypto.mac(current.secret, algorithm, call.params.octets("Message"))
    call.note_use(key, None)
    return {"Mac": code, "MacAlgorithm": algorithm, "KeyId": key.arn}


def verify_mac(call: Call) -> Result:
    """VerifyMac."""
    key, algorithm, current = _ready(call, "GENERATE_VERIFY_MAC", "MacAlgorithm")
    call.end_dry_run()
    if crypto.mac(current.secret, algorithm, call.params.octets("Message")) != call.params.octets("Mac"):
        raise KmsError("KMSInvalidMacException")
    call.note_use(key, None)
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}


def sign(call: Call) -> Result:
    """Sign."""
    key, algorithm, current = _ready(call, "SIGN_VERIFY", "SigningAlgorithm")
    params = call.params
    signature = crypto.sign(current.secret, algorithm, params.octets("Message"), params.text("MessageType", "RAW"))
    call.end_dry_run()
    call.note_use(key, None)
    return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}


def verify(call: Call) -> Result:
    """Verify."""
    key, algorithm, current = _ready(call, "SIGN_VERIFY", "SigningAlgorithm")
    params = call.params
    call.end_dry_run()
    kind = params.text("MessageType", "RAW")
    if not crypto.verifies(current.secret, algorithm, params.octets("Message"), kind, params.octets("Signature")):
        raise KmsError("KMSInvalidSignatureException")
    call.note_use(key, None)
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


def get_public_key(call: Call) -> Result:
    """GetPublicKey."""
    key = call.key()
    call.may(key)
    if key.ring.spec.kind in (Kind.SYMMETRIC, Kind.HMAC):
        raise unsupported(f"{key.arn} is not an asymmetric key.")
    call.usable(key)
    return {
        "KeyId": key.arn,
        "PublicKey": crypto.public_octets(_current(key).secret),
        "CustomerMasterKeySpec": key.ring.spec.name,
        "KeySpec": key.ring.spec.name,
        "KeyUsage": key.ring.usage,
        ALGORITHM_FIELDS[key.ring.usage]: list(key.ring.spec.algorithms(key.ring.usage)),
    }


def derive_shared_secret(call: Call) -> Result:
    """DeriveSharedSecret."""
    _no_enclave(call)
    key, algorithm, current = _ready(call, "KEY_AGREEMENT", "KeyAgreementAlgorithm")
    shared = crypto.agree(current.secret, call.params.octets("PublicKey"))
    call.end_dry_run()
    call.note_use(key, None)
    return {
        "KeyId": key.arn,
        "SharedSecret": shared,
        "KeyAgreementAlgorithm": algorithm,
        "KeyOrigin": str(key.ring.origin),
    }


def encapsulate(call: Call) -> Result:
    """Encapsulate."""
    key, algorithm, current = _ready(call, "ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithm")
    call.end_dry_run()
    shared, ciphertext = crypto.encapsulate(current.secret)
    call.note_use(key, None)
    return {
        "KeyId": key.arn,
        "SharedSecret": shared,
        "SharedSecretCiphertextBlob": ciphertext,
        "EncapsulationAlgorithm": algorithm,
    }


def decapsulate(call: Call) -> Result:
    """Decapsulate."""
    key, algorithm, current = _ready(call, "ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithm")
    call.end_dry_run()
    shared = crypto.decapsulate(current.secret, call.params.octets("SharedSecretCiphertextBlob"))
    call.note_use(key, None)
    return {"KeyId": key.arn, "SharedSecret": shared, "EncapsulationAlgorithm": algorithm}


def _ready(call: Call, usage: str, parameter: str) -> tuple[Key, str, Material]:
    key = call.key()
    algorithm = call.params.text(parameter)
    call.may(key)
    _for_usage(call, key, usage, algorithm)
    call.usable(key)
    return key, algorithm, _current(key)


def _for_usage(call: Call, key: Key, usage: str, algorithm: str) -> None:
    ring = key.ring
    if ring.usage != usage:
        raise KmsError(
            "InvalidKeyUsageException",
            f"{key.arn} key usage is {ring.usage} which is not valid for {call.operation}.",
        )
    if algorithm not in ring.spec.algorithms(usage):
        raise KmsError(
            "InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {ring.spec.name}."
        )


def _current(key: Key) -> Material:
    current = key.ring.current
    if current is None:
        raise bad_state(f"{key.arn} is pending import.")
    return current


def _seal(call: Call, key: Key, algorithm: str, plaintext: bytes, context: Mapping[str, str], made_by: int) -> bytes:
    current = _current(key)
    if algorithm != _SYMMETRIC:
        if context:
            raise invalid("EncryptionContext is not supported with asymmetric keys.")
        return crypto.rsa_encrypt(current.secret, key.ring.spec, algorithm, plaintext)
    if not isinstance(current.secret, bytes):
        raise unsupported()
    entropy = call.holdings.entropy
    return blob.seal(current.secret, current.backing, plaintext, context, made_by=made_by, entropy=entropy)


def _open(
    call: Call, name: str, action: str, algorithm: str, context: Mapping[str, str]
) -> tuple[Key, Material, bytes]:
    """The key a ciphertext belongs to, its material and the plaintext, after all checks."""
    params = call.params
    named = call.key(name) if params.has(name) else None
    if "IGNORE_CIPHERTEXT" in params.names("DryRunModifiers") and params.flag("DryRun"):
        if named is None:
            raise invalid(f"{name} is required with the IGNORE_CIPHERTEXT modifier.")
        call.may(named, action, context)
        call.usable(named)
        return named, _current(named), b""
    if not params.has("CiphertextBlob"):
        raise invalid(
            "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
            "Member must not be null"
        )
    data = params.octets("CiphertextBlob")
    if algorithm != _SYMMETRIC:
        return _open_rsa(call, named, action, algorithm, data)
    return _open_symmetric(call, named, action, data, context)


def _open_rsa(call: Call, named: Key | None, action: str, algorithm: str, data: bytes) -> tuple[Key, Material, bytes]:
    if named is None:
        raise invalid("KeyId is required for asymmetric ciphertexts.")
    call.may(named, action)
    _for_usage(call, named, "ENCRYPT_DECRYPT", algorithm)
    call.usable(named)
    current = _current(named)
    return named, current, crypto.rsa_decrypt(current.secret, algorithm, data)


def _open_symmetric(
    call: Call, named: Key | None, action: str, data: bytes, context: Mapping[str, str]
) -> tuple[Key, Material, bytes]:
    if named is not None:
        call.may(named, action, context)
        if named.ring.spec.kind is not Kind.SYMMETRIC:
            raise wrong_key()
    parsed = blob.parse(data)
    found = call.holdings.backing(call.region, parsed.fingerprint, call.now)
    if found is None:
        raise unseen_ciphertext() if named is None else wrong_key()
    key, material = found
    if named is None:
        call.identify(key.arn)
        call.may(key, action, context)
    elif named is not key:
        raise wrong_key()
    call.usable(key)
    if not isinstance(material.secret, bytes):
        raise bad_ciphertext()
    return key, material, blob.unseal(material.secret, parsed, context)


def _with_material(call: Call, key: Key, out: dict[str, object]) -> Result:
    used = material_id(key)
    call.note_use(key, used)
    if used is not None:
        out["KeyMaterialId"] = used
    return out


def _no_enclave(call: Call) -> None:
    if call.params.has("Recipient"):
        raise unsupported("The lab has no Nitro Enclaves.")
