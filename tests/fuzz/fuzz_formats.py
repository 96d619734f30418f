"""Feed every parser of formats with bytes: with atheris where it is installed, otherwise with plain random mutations.

    python tests/fuzz/fuzz_formats.py [--seconds N] [--seed N] [--only FORMAT]

A finding ends the run with the bytes, in hex, and the broken promise. Imports nothing but the standard library,
atheris and `probes.fields.formats`.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

try:
    import atheris
except ImportError:
    atheris = None

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SLOW: Final = 2.0
"""Seconds that no value of `LONGEST` bytes may take."""
LONGEST: Final = 1 << 16
KEPT: Final = 2000
"""Values that a parser took, from which the random search goes on."""
TEXTS: Final = ("format", "variant", "static_key")

# Beginnings and whole values from which the search starts: text forms, and binary ones in hex.
SEEDS: Final = (
    b'{"protected":"eyJlbmMiOiJBMjU2R0NNIn0","iv":"AAAAAAAAAAAAAAAA","ciphertext":"AA","tag":"AAAAAAAAAAAAAAAAAAAAAA"}',
    b"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA",
    b'{"x-amz-c":"115","x-amz-3":"AAAA","x-amz-w":"12","x-amz-d":"AAAA","x-amz-i":"AAAA"}',
    b'{"x-amz-key-v2":"AAAA","x-amz-iv":"AAAAAAAAAAAAAAAA","x-amz-wrap-alg":"kms",'
    b'"x-amz-cek-alg":"AES/GCM/NoPadding","x-amz-tag-len":"128"}',
    b'{"WrappedContentKey":{"KeyId":"k","EncryptedKey":"AAAA","Algorithm":"A256KW"},"EncryptionAgent":{"Protocol":"2"}}',
    b'{"p":"AAAA","h":{"iv":"AAAAAAAAAAAAAAAA","at":"AAAAAAAAAAAAAAAAAAAAAA==","k":{"p":"AAAA"},"i":"x","c":true}}',
    b"vault:v1:" + b"A" * 44,
    b"ENC[AES256_GCM,data:AAAA,iv:" + b"A" * 43 + b"=,tag:" + b"A" * 22 + b"==,type:str]",
    b"v1.aesgcm256.01234567.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAA",
    b"eyJpdiI6IkFBQUFBQUFBQUFBQUFBQUFBQUFBQUE9PSIsInZhbHVlIjoiQUFBQSIsIm1hYyI6IjAwIiwidGFnIjoiIn0=",
    b"gAAAAABl" + b"A" * 92,
    b"fips:AAAA",
    b"brng:AAAA",
    b"nacl:AAAA",
    b"def50200" + b"00" * 80,
    b"age-encryption.org/v1\n-> X25519 AAAA\nAAAA\n--- AAAA\n" + bytes(40),
    b"Salted__" + bytes(24),
    b"PAR1" + bytes(20),
    b"PARE" + bytes(20),
    b"\3IRON" + bytes(30),
    b"-----BEGIN PGP MESSAGE-----\n\nAAAA\n=AAAA\n-----END PGP MESSAGE-----\n",
    # AWS Encryption SDK; its Database Encryption SDK; blobs of AWS KMS and Google Cloud KMS; Tink's envelope
    b"\2\4\x78"
    + bytes(32)
    + b"\0\7\0\1\0\1a\0\1b\0\1\0\1a\0\1b\0\1c\2\0\0\0\1"
    + bytes(48)
    + b"\xff\xff\xff\xff\0\0\0\1",
    b"\1\x80\1\x78"
    + bytes(18)
    + b"\0\1\0\7aws-kms\0\1a\0\1b\2\0\0\0\0\x0c\0\0\x10\0"
    + bytes(28)
    + b"\xff\xff\xff\xff",
    b"\1\1" + bytes(32) + b"\0\2es\0\1\0\1a\0\1b\1\0\7aws-kms\0\1a\0\x32" + bytes(82),
    bytes.fromhex("0102030078" + "ab" * 32 + "01" + "77" * 16 + "0000007e307c06092a864886f70d010706a06f306d020100")
    + bytes.fromhex(
        "306806092a864886f70d010701301e060960864801650304012e3011040c" + "cd" * 12 + "020110803b" + "ef" * 59
    ),
    b"\x0a\x24\0\x5b\xc0\x42\xd8" + b"\x11" * 31 + b"\x12\x49\0" + b"\x22" * 72,
    b"\0\0\0\x74\x0a\x24\0\x5b\xc0\x42\xd8" + b"\x11" * 31 + b"\x12\x4b\0" + b"\x22" * 74 + bytes(40),
    # COSE; MongoDB; OpenPGP; what begins with 1
    b"\xd0\x83\x43\xa1\1\3\xa1\5\x4c" + bytes(12) + b"\x58\x24" + bytes(36),
    b"\xd8\x60\x84\x43\xa1\1\3\xa1\5\x4c"
    + bytes(12)
    + b"\x58\x24"
    + bytes(36)
    + b"\x81\x83\x43\xa1\1\x24\xa1\4\x41a\x58\x28"
    + bytes(40),
    bytes.fromhex("00140000001061000000000002760002000000610000"),
    b"\2" + bytes(16) + b"\2" + bytes(64),
    b"\x0f" + bytes(16) + b"\2\2" + bytes(288),
    bytes.fromhex("c30d04090308") + bytes(9) + b"\xd2\x3d\1" + bytes(60),
    bytes.fromhex("8c0d04090308") + bytes(9) + b"\xc9\x2f\1" + bytes(46),
    b"\1" + bytes(64),
)


class BrokenError(Exception):
    """A parser broke one of its promises."""


def promises(name: str, parse: Callable[[bytes], object], data: bytes) -> bool:
    """Hold one answer against what every parser promises: whether the value was of the format, or began as it.

    Raises BrokenError, and whatever the parser raises.
    """
    before = time.perf_counter()
    found = parse(data)
    if time.perf_counter() - before > SLOW and len(data) <= LONGEST:
        raise BrokenError(name, "slow", data.hex())
    match found:
        case None:
            return False
        case Refused():
            sound = bool(found.why) and 0 < found.bits <= 255
        case Parsed():
            start, end = found.payload
            texts = [getattr(found, text) for text in TEXTS] + [text for pair in found.context or () for text in pair]
            texts += [text for key in found.wrapped for text in (key.provider, key.key, key.fingerprint)]
            numbers = [number for key in found.wrapped for number in (key.length, key.expected) if number is not None]
            numbers += [] if found.plain_length is None else [found.plain_length]
            sound = 0 <= start <= end <= len(data) and 0 <= found.bits <= 255 and all(number >= 0 for number in numbers)
            sound = sound and all(_utf8(text) for text in texts) and hash(found) is not None
        case _:
            sound = False
    if not sound or found != parse(data):
        raise BrokenError(name, "answer", data.hex())
    return True


def _utf8(text: str) -> bool:
    try:
        return isinstance(text.encode(), bytes)
    except UnicodeEncodeError:
        return False


def mutated(source: random.Random, data: bytes) -> bytes:
    """Bytes near these: flipped, cut, doubled, joined with others."""
    value = bytearray(data)
    for _ in range(source.randint(1, 6)):
        place = source.randrange(len(value) + 1)
        match source.randrange(6):
            case 0 if value:
                value[place % len(value)] = source.randrange(256)
            case 1:
                del value[place : place + source.choice((1, 2, 16, 1 << 16))]
            case 2:
                value[place:place] = source.randbytes(source.choice((1, 4, 16, 96)))
            case 3:
                value[place : place + 4] = source.choice((0, 1, 255, len(value), 1 << 31)).to_bytes(4, "big")
            case 4:
                value[place:place] = value[: source.randrange(len(value) + 1)]
            case _:
                other = source.choice(SEEDS)
                value[place:] = other[source.randrange(len(other) + 1) :]
    return bytes(value[:LONGEST])


def at_random(parsers: Sequence[tuple[str, Callable[[bytes], object]]], seconds: float, seed: int) -> int:
    """Mutate the seeds for so long. The number of values that were tried."""
    source = random.Random(seed)
    end = time.monotonic() + seconds
    known = list(SEEDS)
    tried = 0
    while time.monotonic() < end:
        data = mutated(source, source.choice(known))
        tried += 1
        taken = [promises(name, parse, data) for name, parse in parsers]
        if any(taken) and len(data) < 4096:
            if len(known) < KEPT:
                known.append(data)
            else:
                known[source.randrange(len(SEEDS), KEPT)] = data
    return tried


def with_atheris(parsers: Sequence[tuple[str, Callable[[bytes], object]]], seconds: float, seed: int) -> None:
    """Let atheris search, guided by coverage; it ends the process itself."""
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(SEEDS):
            Path(folder, str(number)).write_bytes(data)

        def once(data: bytes) -> None:
            for name, parse in parsers:
                promises(name, parse, data)

        flags = [f"-max_total_time={int(seconds)}", f"-seed={seed or 1}", f"-max_len={LONGEST}", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *flags, folder], once)
        atheris.Fuzz()


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--only", default="", help="one format's id")
    asked = arguments.parse_args()
    parsers = [(one.id, one.parse) for one in FORMATS if asked.only in ("", one.id)]
    if not parsers:
        arguments.error("no such format")
    print(
        f"{len(parsers)} parsers, seed {asked.seed}, {asked.seconds:.0f} s,",
        "atheris" if atheris else "random",
        flush=True,
    )
    if atheris:
        with_atheris(parsers, asked.seconds, asked.seed)
    else:
        print(f"{at_random(parsers, asked.seconds, asked.seed)} values, no finding")


if atheris:
    with atheris.instrument_imports(include=["probes.fields.formats"]):
        from probes.fields.formats.catalogue import FORMATS
        from probes.fields.formats.seam import Parsed, Refused
else:
    from probes.fields.formats.catalogue import FORMATS
    from probes.fields.formats.seam import Parsed, Refused

if __name__ == "__main__":
    main()
