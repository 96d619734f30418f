#!/usr/bin/env python3
"""Verify a keycheck bundle: python verify.py BUNDLE.zip --key signer.pub [--key second.pub]

One file, standard library plus `cryptography`, made to be read by somebody who trusts neither keycheck nor
the sender of the bundle. VERIFY.md, which lies beside it, says what is checked and what is not.
Exit code: 0 verified, 5 not verified, 2 wrong usage. Licence: Apache-2.0.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import stat
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

MIB = 1 << 20
MAX_JSON, MAX_BLOB, MAX_LINE, MAX_ENVELOPE = 64 * MIB, 64 * MIB, MIB, 32 * MIB
MAX_ENTRIES, MAX_CONTAINER, MAX_DEPTH = 200_000, 2**32 - 2**25, 32
BLOB = re.compile(r"blobs/[0-9a-f]{64}", re.ASCII)
INPUT = re.compile(r"inputs(/[a-z0-9][a-z0-9._-]*){1,3}", re.ASCII)
SALT = re.compile(rb"[0-9a-f]{64}\n")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
TAG_OF = {
    "run-start.json": "bundle/run-start", "inputs": "bundle/input",
    "observations.jsonl": "bundle/observation", "blobs": "bundle/blob",
    "assessment.json": "bundle/assessment", "VERIFY.md": "bundle/verifier", "verify.py": "bundle/verifier",
}  # fmt: skip
BLOB_MEMBERS = {"commitment", "bytes", "media_type", "disposition", "name"}
PAYLOAD_TYPE = "application/vnd.in-toto+json"
Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


class NotVerifiedError(Exception):
    """The bundle does not verify; the text says why."""


def fail(why: str) -> NoReturn:
    raise NotVerifiedError(why)


# JSON with one spelling (RFC 8785 without floats)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > 2**53 - 1:
        fail("JSON holds an integer beyond 2**53 - 1")
    return int(digits)


def no_float(text: str) -> NoReturn:
    fail(f"JSON holds the float {text[:20]}")


def check_domain(value: Any, room: int) -> None:
    """Bounded depth, ASCII keys."""
    if isinstance(value, dict | list):
        if room == 0:
            fail("JSON is nested too deeply")
        if isinstance(value, dict) and not all(key.isascii() for key in value):
            fail("JSON has a key beyond ASCII")
        for member in value.values() if isinstance(value, dict) else value:
            check_domain(member, room - 1)


def parse(data: bytes, what: str, limit: int) -> Any:
    if len(data) > limit:
        fail(f"{what} is longer than {limit} bytes")
    try:
        value = json.loads(data.decode(), parse_int=integer, parse_float=no_float, parse_constant=no_float)
        check_domain(value, MAX_DEPTH)
        if canonical(value) != data:  # duplicate keys, white space, other escapes, another order
            fail(f"{what} is not in canonical form")
    except (ValueError, RecursionError) as error:
        raise NotVerifiedError(f"{what} is not JSON: {error}") from error
    return value


# The container: a zip without any freedom


def local_header(name: bytes, size: int, crc: int) -> bytes:
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, crc, size, size, len(name), 0) + name


def central_header(name: bytes, size: int, crc: int, offset: int) -> bytes:
    fields = (b"PK\1\2", 788, 20, 0, 0, 0, 33, crc, size, size, len(name), 0, 0, 0, 0, 0o100644 << 16, offset)
    return struct.pack("<4s6H3I5H2I", *fields) + name


class Bundle:
    """Names and places of the files, after the container was compared with what they imply."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.places: dict[str, tuple[int, int, int]] = {}  # name: start of content, size, CRC
        offset, directory = 0, bytearray()
        while (header := self.at(offset, 30))[:4] == b"PK\3\4":
            if len(header) < 30:
                fail("the container ends inside a header")
            crc, _, size, length = struct.unpack("<3IH", header[14:28])
            name = self.at(offset + 30, min(length, 200))
            if header + name != local_header(name, size, crc) or not name.isascii():
                fail(f"the header at byte {offset} is not in the only form")
            if name.decode() in self.places:
                fail(f"{name.decode()} is there twice")
            self.places[name.decode()] = (offset + 30 + length, size, crc)
            directory += central_header(name, size, crc, offset)
            offset += 30 + length + size
            if len(self.places) > MAX_ENTRIES or offset > MAX_CONTAINER:
                fail("the container is too large")
        count, size = len(self.places), len(directory)
        if count >= 0xFFFF:  # only then a zip64 end record
            directory += struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 788, 45, 0, 0, count, count, size, offset)
            directory += struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
        short = min(count, 0xFFFF)
        directory += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, short, short, size, offset, 0)
        if not count or self.at(offset, len(directory) + 1) != directory:
            fail("the container is not the one that its entries imply")
        self.check_layout()

    def at(self, position: int, length: int) -> bytes:
        self.file.seek(position)
        return self.file.read(length)

    def chunks(self, name: str) -> Iterator[bytes]:
        position, left, expected = self.places[name]
        crc = 0
        while left:
            chunk = self.at(position, min(left, MIB))
            if not chunk:
                fail(f"{name} is cut short")
            crc = zlib.crc32(chunk, crc)
            position, left = position + len(chunk), left - len(chunk)
            yield chunk
        if crc != expected:
            fail(f"{name} does not match its checksum")

    def read(self, name: str) -> bytes:
        return b"".join(self.chunks(name))

    def check_layout(self) -> None:
        names = list(self.places)
        inputs = sorted(name for name in names if INPUT.fullmatch(name) and ".salt/" not in name + "/")
        blobs = sorted(name for name in names if BLOB.fullmatch(name))
        if names != [
            "run-start.json", *(file for name in inputs for file in (name, name + ".salt")),
            "observations.jsonl", *blobs, "assessment.json", "manifest.json", "statement.dsse.json",
            "VERIFY.md", "verify.py",
        ]:  # fmt: skip
            fail("the files are not those of a bundle, or not in their order")
        for name, (_, size, _) in self.places.items():
            limit = MAX_BLOB + 32 if name in blobs else MAX_JSON
            if size > limit and name != "observations.jsonl":  # which is read line by line
                fail(f"{name} is too large")


# The Merkle tree (RFC 9162 section 2.1)


class Tree:
    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []  # roots of the complete subtrees, from left to right

    def add(self, leaf: bytes) -> None:
        carry = self.size
        while carry & 1:
            leaf = hashlib.sha256(b"\1" + self.peaks.pop() + leaf).digest()
            carry >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> str:
        node, *left = reversed(self.peaks)
        for peak in left:
            node = hashlib.sha256(b"\1" + peak + node).digest()
        return node.hex()


# Signatures (DSSE v1)


def load_key(path: str) -> tuple[str, Key]:
    """A public key and its id, the SHA-256 of its DER form."""
    key = serialization.load_pem_public_key(Path(path).read_bytes())
    if not isinstance(key, ed25519.Ed25519PublicKey) and not (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        raise ValueError("only Ed25519 and P-256 keys are used")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest(), key


def unbase64(text: Any) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        fail("the envelope holds something that is not base64")
    if base64.b64encode(data).decode() != text:
        fail("the envelope holds a second spelling of its base64")
    return data


def check_signature(key: Key, signature: bytes, message: bytes) -> None:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return
        # ECDSA signatures have second spellings: n - s in place of s, and loose DER.
        r, s = utils.decode_dss_signature(signature)
        if not 0 < s <= P256_ORDER // 2 or utils.encode_dss_signature(r, s) != signature:
            fail("an ECDSA signature is not in its only spelling")
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise NotVerifiedError("a signature does not verify") from error


def open_envelope(data: bytes, keys: dict[str, Key]) -> tuple[bytes, list[str]]:
    """The signed payload, and who signed it: every signature must hold, by distinct keys that we trust."""
    envelope = parse(data, "statement.dsse.json", MAX_ENVELOPE)
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "payloadType", "signatures"}:
        fail("the envelope has other members than an envelope has")
    if envelope["payloadType"] != PAYLOAD_TYPE or not isinstance(envelope["signatures"], list):
        fail("the envelope is not about an in-toto statement, or its signatures are not a list")
    payload = unbase64(envelope["payload"])
    message = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signers: list[str] = []
    for entry in envelope["signatures"]:
        if not isinstance(entry, dict) or set(entry) != {"keyid", "sig"} or str(entry["keyid"]) not in keys:
            fail("there is a signature by a key that was not given with --key")
        check_signature(keys[entry["keyid"]], unbase64(entry["sig"]), message)
        signers.append(entry["keyid"])
    if not signers or signers != sorted(set(signers)):
        fail("there is no signature, or one key signs twice, or they are out of order")
    return payload, signers


# The bundle


def check_observation(line: bytes, number: int, run: str, blobs: dict[str, int]) -> int:
    """Check one line, note the blobs it names, and return how many of them are withheld."""
    value = parse(line, f"observation {number}", MAX_LINE)
    if not isinstance(value, dict) or value.get("run") != run or type(value.get("seq")) is not int:
        fail(f"observation {number} is not one of this run")
    if not isinstance(value.get("salt"), str) or not re.fullmatch(r"[0-9a-f]{32}", value["salt"]):
        fail(f"observation {number} has no salt of 32 hex digits")
    if value["seq"] != number:
        fail(f"observation {number} has another number: one is missing, moved or repeated")
    withheld, references = 0, value.get("blobs", [])
    if not isinstance(references, list) or not all(is_blob_reference(ref) for ref in references):
        fail(f"observation {number} has a malformed blob reference")
    for ref in references:
        if ref["disposition"] == "digest-only":
            withheld += 1
        elif blobs.setdefault(ref["commitment"], ref["bytes"]) != ref["bytes"]:
            fail(f"observation {number} gives a blob another size than an earlier one did")
    return withheld


def is_blob_reference(ref: Any) -> bool:
    return (
        isinstance(ref, dict)
        and set(ref) == BLOB_MEMBERS
        and all(isinstance(ref[name], str) and len(ref[name]) <= 255 for name in BLOB_MEMBERS - {"bytes"})
        and BLOB.fullmatch(f"blobs/{ref['commitment']}") is not None
        and (type(ref["bytes"]) is int and 0 <= ref["bytes"] <= MAX_BLOB)
        and ref["disposition"] in ("public", "digest-only")
    )


def read_lines(bundle: Bundle) -> Iterator[bytes]:
    rest = b""
    for chunk in bundle.chunks("observations.jsonl"):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE:
            fail("an observation is too long")
    if rest:
        fail("the last observation does not end with a newline")


def read_salt(bundle: Bundle, name: str) -> bytes:
    salt = bundle.read(name)
    if not SALT.fullmatch(salt):
        fail(f"{name} is not a salt in hex and a newline")
    return bytes.fromhex(salt.decode())


def verify(file: BinaryIO, keys: dict[str, Key]) -> dict[str, Any]:
    """Check everything; returns what was verified, raises NotVerifiedError."""
    bundle = Bundle(file)
    payload, signers = open_envelope(bundle.read("statement.dsse.json"), keys)
    parse(bundle.read("assessment.json"), "assessment.json", MAX_JSON)
    run_start = parse(bundle.read("run-start.json"), "run-start.json", MAX_JSON)
    run = hashlib.sha256(bundle.read("run-start.json")).hexdigest()
    tree, withheld = Tree(), 0
    files: list[dict[str, Any]] = []
    inputs: list[dict[str, str]] = []
    blobs: dict[str, int] = {}  # named by an observation and not yet seen: original size by commitment
    counts = dict.fromkeys(TAG_OF.values(), 0)
    for name, (_, size, _) in bundle.places.items():
        if not (tag := TAG_OF.get(name.partition("/")[0])) or name.endswith(".salt"):
            continue  # manifest, envelope and salts, which are no leaves: see above and below
        prefix = b"\0" + tag.encode() + b"\0"
        record: dict[str, Any] = {"path": name, "tag": tag, "bytes": size}
        files.append(record)
        if tag == "bundle/observation":
            for line in read_lines(bundle):
                counts[tag] += 1
                withheld += check_observation(line, counts[tag], run, blobs)
                tree.add(hashlib.sha256(prefix + line).digest())
            record["lines"] = counts[tag]
            continue
        salt = read_salt(bundle, name + ".salt") if tag == "bundle/input" else b""
        domain = b"keycheck input/1\0" if salt else b"keycheck blob/1\0"
        leaf, commitment = hashlib.sha256(prefix + salt), hashlib.sha256(domain + salt)
        for chunk in bundle.chunks(name):
            leaf.update(chunk)
            commitment.update(chunk)
        if tag == "bundle/blob":
            if name != f"blobs/{commitment.hexdigest()}":
                fail(f"{name} is not what its name commits to")
            if blobs.pop(name[6:], -1) + 32 != size:
                fail(f"no observation names {name} with this size")
        if tag == "bundle/input":
            inputs.append({"name": name[7:], "commitment": commitment.hexdigest()})
        counts[tag] += 1
        tree.add(leaf.digest())
        record["leaf"] = leaf.hexdigest()
    if blobs:
        fail(f"{len(blobs)} blobs that observations name are not there")
    if not isinstance(run_start, dict) or run_start.get("inputs") != inputs:
        fail("the inputs are not those that run-start.json commits itself to")
    summary = {"run": run, "tree_size": tree.size, "root": tree.root()}
    implied = {"schema": "keycheck.dev/manifest/1", "counts": counts, "files": files} | summary
    manifest = bundle.read("manifest.json")
    if manifest != canonical(implied):
        fail("manifest.json is not the one that the contents imply")
    digest = hashlib.sha256(manifest).hexdigest()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "manifest.json", "digest": {"sha256": digest}}],
        "predicateType": "https://keycheck.dev/attestation/bundle/v1",
        "predicate": summary,
    }
    if payload != canonical(statement):
        fail("the signed statement is not about this manifest")
    return summary | {"signers": signers, "manifest": digest, "counts": counts, "withheld": withheld}


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify a keycheck bundle. VERIFY.md explains.")
    parser.add_argument("bundle", help="the .zip file, as it was written")
    parser.add_argument("--key", action="append", required=True, help="a signer's .pub file that you trust")
    arguments = parser.parse_args()
    try:
        keys = dict(load_key(path) for path in arguments.key)
    except (OSError, ValueError) as error:
        print(f"cannot use a key: {error}", file=sys.stderr)
        return 2
    try:
        if not stat.S_ISREG(Path(arguments.bundle).stat().st_mode):
            fail("it is not a regular file")
        with Path(arguments.bundle).open("rb") as file:
            result = verify(file, keys)
    except (NotVerifiedError, OSError) as error:
        print(f"NOT VERIFIED: {error}", file=sys.stderr)
        return 5
    print("VERIFIED: holders of these keys signed exactly this bundle:")
    for signer in result["signers"]:
        print(f"  {signer}")
    print(f"manifest.json {result['manifest']}\nroot {result['root']} over {result['tree_size']} leaves")
    print(f"run-start.json {result['run']}")
    print("  ".join(f"{tag.removeprefix('bundle/')}: {count}" for tag, count in result["counts"].items()))
    print("NOT shown by this: when it was made (no timestamp); that no other run exists (unwitnessed); who")
    print("holds the keys; that the observations happened as recorded; that the verdicts follow from them.")
    if result["withheld"]:
        print(f"{result['withheld']} references are to original bytes that are withheld.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
