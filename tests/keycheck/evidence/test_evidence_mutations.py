"""Every way of damaging a bundle that we could think of: each must end in IntegrityError and nothing else.

The one-file verifier that travels in bundles must come to the same answer every time.
"""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.canonical import dumps
from keycheck.errors import IntegrityError
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.standalone import verify as standalone
from keycheck.evidence.verify import verify_stream

SCRIPT = Path(standalone.__file__)
Files = dict[str, bytes]
Change = Callable[[Files], Files]


class Checker:
    """Both verifiers, which must agree."""

    def __init__(self, *keys: SigningKey) -> None:
        self._trusted = [key.public for key in keys]
        self._keys = {key.key_id: load_der_public_key(key.public.der) for key in keys}

    def accepts(self, data: bytes) -> None:
        verified = verify_stream(io.BytesIO(data), self._trusted)
        other = standalone.verify(io.BytesIO(data), self._keys)  # type: ignore[arg-type]
        assert (verified.manifest_sha256, verified.root, verified.tree_size, verified.run) == (
            other["manifest"], other["root"], other["tree_size"], other["run"],
        )  # fmt: skip
        assert (list(verified.signers), verified.withheld) == (other["signers"], other["withheld"])
        assert {tag.value: n for tag, n in verified.counts.items()} == {
            tag: n for tag, n in other["counts"].items() if n
        }

    def refuses(self, data: bytes, match: str | None = None) -> None:
        with pytest.raises(IntegrityError, match=match) as caught:
            verify_stream(io.BytesIO(data), self._trusted)
        assert caught.value.advice
        with pytest.raises(standalone.NotVerifiedError):
            standalone.verify(io.BytesIO(data), self._keys)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def both(ed25519: SigningKey, p256: SigningKey) -> Checker:
    return Checker(ed25519, p256)


@pytest.fixture(scope="module")
def one(ed25519: SigningKey) -> Checker:
    return Checker(ed25519)


# --- changes to the file ---


def test_the_good_bundle_is_accepted(bundle: bytes, both: Checker) -> None:
    both.accepts(bundle)


def test_every_flipped_byte_is_seen(bundle: bytes, both: Checker) -> None:
    rng = random.Random(1)
    for offset in range(len(bundle)):
        for mask in (1, rng.randrange(2, 256)):
            both.refuses(bundle[:offset] + bytes([bundle[offset] ^ mask]) + bundle[offset + 1 :])


def test_every_truncation_is_seen(bundle: bytes, both: Checker) -> None:
    for length in range(0, len(bundle), 7):
        both.refuses(bundle[:length])
    both.refuses(bundle[:-1])


@pytest.mark.parametrize("extra", [b"\x00", b"\n", b"PK\x05\x06" + b"\x00" * 18, b"x" * 70_000])
def test_bytes_around_it_are_seen(bundle: bytes, both: Checker, extra: bytes) -> None:
    both.refuses(bundle + extra)
    both.refuses(extra + bundle)
    both.refuses(bundle + bundle)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_fuzz_edits(bundle: bytes, both: Checker, data: st.DataObject) -> None:
    changed = bundle
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(changed)))
        end = data.draw(st.integers(start, min(len(changed), start + 300)))
        piece = data.draw(
            st.binary(max_size=40)
            | st.integers(0, len(bundle)).map(lambda at: bundle[at : at + 120])
            | st.sampled_from([b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\xff\xff\xff\xff", b'"', b"{", b"\n"])
        )
        changed = changed[:start] + piece + changed[end:]
    if changed == bundle:
        both.accepts(changed)
    else:
        both.refuses(changed)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), magic=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06"]))
def test_fuzz_anything(both: Checker, data: bytes, magic: bytes) -> None:
    both.refuses(magic + data)


# --- changes to the container, made with an ordinary zip writer ---


def rezip(bundle: bytes, method: int = zipfile.ZIP_STORED, *, comment: bytes = b"", **extra: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as source, zipfile.ZipFile(out, "w", method) as target:
        for item in source.infolist():
            info = zipfile.ZipInfo(item.filename, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.compress_type = item.external_attr, method
            target.writestr(info, source.read(item))
        for name, content in extra.items():
            target.writestr(name, content)
        target.comment = comment
    return out.getvalue()


def test_an_ordinary_zip_of_the_same_files_is_accepted_only_byte_for_byte(bundle: bytes, both: Checker) -> None:
    assert rezip(bundle) == bundle  # on this platform: the form is what an ordinary writer writes
    both.refuses(rezip(bundle, zipfile.ZIP_DEFLATED), "compressed")
    both.refuses(rezip(bundle, comment=b"hello"))
    both.refuses(rezip(bundle, extra=b"x"))


def test_a_zip_bomb_is_refused_at_its_header(both: Checker) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(zipfile.ZipInfo("run-start.json"), b"0" * 50_000_000, zipfile.ZIP_DEFLATED)
    start = time.perf_counter()
    both.refuses(out.getvalue(), "compressed")
    assert time.perf_counter() - start < 1


def test_an_encrypted_entry_is_refused(bundle: bytes, both: Checker) -> None:
    both.refuses(bundle[:6] + b"\x01" + bundle[7:], "encrypted")


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/etc/evil", "inputs/../../evil", "inputs/..", "inputs\\evil", "inputs/a\x00b", "C:evil",
        "inputs/a.salt", "inputs/a.salt/b", "inputs/.salt",
        "inputs/", "inputs", "inputs/A", "inputs/a/b/c/d", "blobs/xyz", "0" * 64, "blobs/" + "0" * 64 + "/x",
        "extra", "MANIFEST.JSON", "inputs/" + "x" * 300, "inputs/a\n",
    ],
)  # fmt: skip
def test_names_outside_the_layout_are_refused(
    name: str, bundle: bytes, both: Checker, tools: dict[str, Callable[..., bytes]]
) -> None:
    files = list(contents(bundle).items())
    for spot in (0, 1, 5, len(files)):
        both.refuses(tools["pack"]([*files[:spot], (name, b"x"), *files[spot:]]))


@pytest.mark.parametrize("name", ["checkpoint", "timestamps/one.tsr"])
def test_reserved_names_ask_for_a_newer_keycheck(
    name: str, bundle: bytes, both: Checker, tools: dict[str, Callable[..., bytes]]
) -> None:
    both.refuses(tools["pack"]([*contents(bundle).items(), (name, b"x")]), "this version cannot check")


def contents(bundle: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(bundle)) as plain:
        return {name: plain.read(name) for name in plain.namelist()}


def test_duplicated_dropped_and_swapped_entries(
    bundle: bytes, both: Checker, tools: dict[str, Callable[..., bytes]]
) -> None:
    files = list(contents(bundle).items())
    assert tools["pack"](files) == bundle
    for i, item in enumerate(files):
        both.refuses(tools["pack"]([*files[:i], *files[i + 1 :]]))
        both.refuses(tools["pack"]([*files[:i], item, *files[i:]]))
        both.refuses(tools["pack"]([*files, item]))
        for j in range(i):
            swapped = list(files)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            both.refuses(tools["pack"](swapped))
            crossed = list(files)  # the names stay, the contents change places
            crossed[i], crossed[j] = (files[i][0], files[j][1]), (files[j][0], files[i][1])
            both.refuses(tools["pack"](crossed))


def test_a_changed_file_in_a_sound_container(
    bundle: bytes, both: Checker, tools: dict[str, Callable[..., bytes]]
) -> None:
    for name, content in contents(bundle).items():
        for changed in (content + b" ", content[:-1], b"", content[:-2] + b"\xff" + content[-1:]):
            both.refuses(tools["pack"](list((contents(bundle) | {name: changed}).items())))


# --- signatures ---


def test_who_signed_matters(bundle: bytes, ed25519: SigningKey, p256: SigningKey) -> None:
    Checker().refuses(bundle, "0 trusted keys")
    Checker(SigningKey.generate()).refuses(bundle, "0 trusted keys")
    Checker(ed25519).refuses(bundle, "were not given")
    Checker(ed25519, p256, SigningKey.generate()).accepts(bundle)
    with pytest.raises(IntegrityError, match="2 trusted keys of 3"):
        verify_stream(io.BytesIO(bundle), [ed25519.public, p256.public], threshold=3)


def test_second_spellings_of_signatures(
    bundle: bytes, both: Checker, ed25519: SigningKey, p256: SigningKey, tools: dict[str, Callable[..., bytes]]
) -> None:
    from base64 import b64decode, b64encode

    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

    files = contents(bundle)
    envelope = json.loads(files["statement.dsse.json"])

    def with_sig(key: SigningKey, spell: Callable[[str], str]) -> bytes:
        signatures = [s | {"sig": spell(s["sig"])} if s["keyid"] == key.key_id else s for s in envelope["signatures"]]
        changed = dumps(envelope | {"signatures": signatures})
        return tools["pack"](list((files | {"statement.dsse.json": changed}).items()))

    def high_s(text: str) -> str:
        r, s = decode_dss_signature(b64decode(text))
        return b64encode(encode_dss_signature(r, standalone.P256_ORDER - s)).decode()

    assert with_sig(p256, lambda text: text) == bundle
    both.refuses(with_sig(p256, high_s), "second spelling")
    for step in range(1, 16):  # the sixteen spellings of the last character of a 64-byte signature
        both.refuses(
            with_sig(ed25519, lambda text, step=step: text[:-3] + chr(ord(text[-3]) + step) + "=="),  # type: ignore[misc]
        )
    both.refuses(with_sig(ed25519, lambda text: text.rstrip("=")))
    both.refuses(with_sig(ed25519, lambda text: text + "\n"))


# --- a trusted signer who signs nonsense ---


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    def apply(files: Files) -> Files:
        old = files["observations.jsonl"].split(b"\n")[:-1]
        return files | {"observations.jsonl": b"".join(line + b"\n" for line in change(old))}

    return apply


def observation(spot: int, **members: object) -> Change:
    def apply(old: list[bytes]) -> list[bytes]:
        changed = json.loads(old[spot]) | members
        return [*old[:spot], dumps(changed), *old[spot + 1 :]]

    return lines(apply)


def ref(**members: object) -> Change:
    def apply(old: list[bytes]) -> list[bytes]:
        changed = json.loads(old[0])
        changed["blobs"][0] |= members
        return [dumps(changed), *old[1:]]

    return lines(apply)


def blob(make: Callable[[str, bytes], Files]) -> Change:
    """Replace the first blob by what ``make`` returns."""

    def apply(files: Files) -> Files:
        first = next(name for name in files if name.startswith("blobs/"))
        changed = {name: content for name, content in files.items() if name != first}
        changed |= make(first, files[first])
        order = {"run": 0, "inp": 1, "obs": 2, "blo": 3, "ass": 4, "VER": 5, "ver": 6}
        return dict(sorted(changed.items(), key=lambda item: (order[item[0][:3]], item[0])))

    return apply


def named(content: bytes) -> str:
    return "blobs/" + sha256(b"keycheck blob/1\x00" + content).hexdigest()


DEPLOYMENT, PROFILE = "inputs/deployment.json", "inputs/profile.json"
DEPLOYMENT_SALT, PROFILE_SALT = DEPLOYMENT + ".salt", PROFILE + ".salt"


def put(name: str, content: bytes) -> Change:
    return lambda files: files | {name: content}


def moved(files: Files) -> Files:
    """Salt and input cut in another place: the same leaf and the same commitment."""
    salt, first = files[PROFILE_SALT][:-1], files[PROFILE][:1]
    return files | {PROFILE_SALT: salt + first.hex().encode(), PROFILE: files[PROFILE][1:]}


def dropped(*names: str) -> Change:
    return lambda files: {name: content for name, content in files.items() if name not in names}


def inserted(before: str, *names: str) -> Change:
    def apply(files: Files) -> Files:
        out: Files = {}
        for name, content in files.items():
            if name == before:
                out |= dict.fromkeys(names, b"0" * 64 + b"\n")
            out[name] = content
        return out

    return apply


def swapped(one: str, other: str) -> Change:
    """They change places, each with its content."""

    def apply(files: Files) -> Files:
        turned = {one: other, other: one}
        return {turned.get(name, name): files[turned.get(name, name)] for name in files}

    return apply


def exchanged(one: str, other: str) -> Change:
    """The names stay, the contents change places."""
    return lambda files: files | {one: files[other], other: files[one]}


def with_start(record: bytes) -> Change:
    """Another run-start record, and observations that belong to it."""

    def apply(files: Files) -> Files:
        run = sha256(record).hexdigest()
        relabelled = lines(lambda old: [dumps(json.loads(line) | {"run": run}) for line in old])
        return relabelled(files | {"run-start.json": record})

    return apply


def restarted(change: Callable[[list[dict[str, str]]], object]) -> Change:
    """Other commitments in the run-start record."""

    def apply(files: Files) -> Files:
        record = json.loads(files["run-start.json"])
        return with_start(dumps(record | {"inputs": change(record["inputs"])}))(files)

    return apply


NONSENSE: dict[str, tuple[Change, str]] = {
    "dropped observation": (lines(lambda old: old[:1] + old[2:]), "observation 2"),
    "dropped first": (lines(lambda old: old[1:]), "observation 1"),
    "swapped observations": (lines(lambda old: [old[1], old[0], old[2]]), "observation 1"),
    "repeated observation": (lines(lambda old: [*old, old[2]]), "observation 4"),
    "empty line": (lines(lambda old: [*old, b""]), "observation 4"),
    "no last newline": (
        lambda files: files | {"observations.jsonl": files["observations.jsonl"][:-1]},
        "newline",
    ),
    "other run": (observation(1, run="0" * 64), "run-start"),
    "no run": (observation(1, run=None), "run-start"),
    "no salt": (observation(1, salt=None), "salt"),
    "salt as number": (observation(1, salt=int("1" * 15)), "salt"),
    "short salt": (observation(1, salt="0" * 31), "salt"),
    "long salt": (observation(1, salt="0" * 33), "salt"),
    "salt and newline": (observation(1, salt="0" * 32 + "\n"), "salt"),
    "upper-case salt": (observation(1, salt="A" * 32), "salt"),
    "salt of other digits": (observation(1, salt="٣" * 32), "salt"),
    "seq as text": (observation(0, seq="1"), "number"),
    "seq as truth": (observation(0, seq=True), "number"),
    "white space": (lines(lambda old: [old[0].replace(b":", b": ", 1), *old[1:]]), "canonical"),
    "carriage return": (lines(lambda old: [old[0] + b"\r", *old[1:]]), "follows"),
    "duplicate key": (
        lines(lambda old: [*old[:2], old[2].replace(b'"seq":3', b'"seq":2,"seq":3')]),
        "same key twice",
    ),
    "float": (lines(lambda old: [*old[:2], old[2].replace(b'"seq":3', b'"seq":3.0')]), "float"),
    "huge integer": (
        lines(lambda old: [*old[:2], old[2].replace(b'"seq":3', b'"seq":3,"z":' + b"9" * 5000)]),
        "integer",
    ),
    "deep": (
        lines(lambda old: [*old[:2], old[2].replace(b'"seq":3', b'"seq":' + b"[" * 99 + b"]" * 99)]),
        "deep",
    ),
    "very deep": (
        lines(lambda old: [*old[:2], b"[" * 200_000 + b"]" * 200_000]),
        "deep",
    ),
    "not an object": (lines(lambda old: [*old[:2], b"[3]"]), "not an object"),
    "long line": (observation(2, filler="x" * (1 << 20)), "observation 3"),
    "very long line": (observation(2, filler="x" * (3 << 20)), "longer"),
    "blobs no list": (observation(2, blobs={}), "not a list"),
    "blob reference no object": (observation(2, blobs=["x"]), "reference"),
    "blob reference too large": (ref(extra=1), "reference"),
    "bad commitment": (ref(commitment="../x"), "commitment"),
    "commitment no text": (ref(commitment=["a"]), "commitment"),
    "negative size": (ref(bytes=-1), "size"),
    "size as truth": (ref(bytes=True), "size"),
    "wrong size": (ref(bytes=1), "another size"),
    "sealed": (ref(disposition="sealed"), "newer"),
    "disposition no text": (ref(disposition=[]), "newer"),
    "name no text": (ref(name=1), "text"),
    "long media type": (ref(media_type="x" * 256), "text"),
    "withheld but there": (ref(disposition="digest-only"), "named by no observation"),
    "two sizes": (
        lines(
            lambda old: [
                old[0],
                dumps(json.loads(old[1]) | {"blobs": [json.loads(old[0])["blobs"][0] | {"bytes": 1}]}),
                old[2],
            ]
        ),
        "another size",
    ),
    "missing blob": (blob(lambda name, content: {}), "not in the bundle"),
    "replaced blob": (blob(lambda name, content: {name: content + b"!"}), "not what its name commits to"),
    "salt changed": (blob(lambda name, content: {name: b"\x00" + content[1:]}), "commits to"),
    "blob under another name": (
        blob(lambda name, content: {named(content + b"!"): content + b"!"}),
        "named by no observation",
    ),
    "one blob more": (
        blob(lambda name, content: {name: content, named(b"more"): b"more"}),
        "named by no observation",
    ),
    "input changed": (put(PROFILE, b'{"p":2}'), "commits itself"),
    "input empty": (put(PROFILE, b""), "commits itself"),
    "salt of an input changed": (put(PROFILE_SALT, b"0" * 64 + b"\n"), "commits itself"),
    "byte moved from input to salt": (moved, "more than the 65"),
    "salt without newline": (put(PROFILE_SALT, b"0" * 64), "not a salt"),
    "salt with two newlines": (put(PROFILE_SALT, b"0" * 64 + b"\n\n"), "more than the 65"),
    "salt with carriage return": (put(PROFILE_SALT, b"0" * 63 + b"\r\n"), "not a salt"),
    "upper-case salt of an input": (put(PROFILE_SALT, b"A" * 64 + b"\n"), "not a salt"),
    "short salt of an input": (put(PROFILE_SALT, b"0" * 62 + b"\n"), "not a salt"),
    "long salt of an input": (put(PROFILE_SALT, b"0" * 66 + b"\n"), "more than the 65"),
    "empty salt of an input": (put(PROFILE_SALT, b""), "not a salt"),
    "raw salt of an input": (put(PROFILE_SALT, b"\xff" * 32), "not a salt"),
    "salt missing": (dropped(PROFILE_SALT), "does not follow"),
    "input missing, salt there": (dropped(PROFILE), "layout"),
    "input and salt missing": (dropped(PROFILE, PROFILE_SALT), "commits itself"),
    "one input more": (inserted(PROFILE, "inputs/more", "inputs/more.salt"), "commits itself"),
    "one salt more": (inserted(PROFILE, "inputs/more.salt"), "layout"),
    "salt of a salt": (inserted("inputs/waivers/001.json", PROFILE_SALT + ".salt"), "no name"),
    "salts before inputs": (swapped(PROFILE, PROFILE_SALT), "layout"),
    "two inputs, then their salts": (swapped(DEPLOYMENT_SALT, PROFILE), "does not follow"),
    "salts exchanged": (exchanged(PROFILE_SALT, DEPLOYMENT_SALT), "commits itself"),
    "inputs exchanged": (exchanged(PROFILE, DEPLOYMENT), "commits itself"),
    "committed to nothing": (restarted(lambda old: []), "commits itself"),
    "committed to one more": (restarted(lambda old: [*old, old[0]]), "commits itself"),
    "committed to one less": (restarted(lambda old: old[1:]), "commits itself"),
    "committed in another order": (restarted(lambda old: old[::-1]), "commits itself"),
    "commitment with more to it": (restarted(lambda old: [old[0] | {"x": 1}, *old[1:]]), "commits itself"),
    "commitment to another name": (restarted(lambda old: [old[0] | {"name": "x"}, *old[1:]]), "commits itself"),
    "plain digest": (
        restarted(lambda old: [{"name": one["name"], "sha256": one["commitment"]} for one in old]),
        "commits itself",
    ),
    "no commitments": (restarted(lambda old: None), "commits itself"),
    "run-start is a list": (with_start(b"[]"), "commits itself"),
    "run-start is null": (with_start(b"null"), "commits itself"),
    "run-start not canonical": (lambda files: files | {"run-start.json": b"{ }"}, "run-start.json is"),
    "assessment not canonical": (lambda files: files | {"assessment.json": b'{"a":1.5}'}, "assessment.json is"),
}


def test_the_forger_can_make_a_good_bundle(forge: Callable[..., bytes], one: Checker) -> None:
    one.accepts(forge())
    one.accepts(forge(observation(2, text="ünïcödé \U0001f600", n=2**53 - 1, deep=[[[]] * 50])))


@pytest.mark.parametrize("case", NONSENSE)
def test_signed_nonsense_is_refused(case: str, forge: Callable[..., bytes], one: Checker) -> None:
    change, match = NONSENSE[case]
    one.refuses(forge(change), match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m | {"counts": m["counts"] | {"bundle/observation": 2}}, "counts"),
        (lambda m: m | {"counts": m["counts"] | {"bundle/other": 0}}, "counts"),
        (lambda m: m | {"counts": {}}, "counts"),
        (lambda m: m | {"tree_size": m["tree_size"] + 1}, "tree_size"),
        (lambda m: m | {"root": "0" * 64}, "root"),
        (lambda m: m | {"root": None}, "root"),
        (lambda m: m | {"run": "0" * 64}, "run in"),
        (lambda m: m | {"files": m["files"][:-1]}, r"verify\.py"),
        (lambda m: m | {"files": m["files"][::-1]}, "run-start"),
        (lambda m: m | {"files": [*m["files"], m["files"][0]]}, "something else"),
        (lambda m: m | {"files": 1}, "something else"),
        (lambda m: m | {"note": "hello"}, "something else"),
        (lambda m: m | {"tree_size": True}, "tree_size"),
        (lambda m: m | {"schema": "keycheck.dev/manifest/2"}, "schema"),
        (lambda m: [m], "schema"),
        (lambda m: None, "schema"),
    ],
)
def test_a_lying_manifest_is_refused(
    change: Callable[..., object], match: str, forge: Callable[..., bytes], one: Checker
) -> None:
    one.refuses(forge(manifest=change), match)


def test_an_envelope_about_another_manifest(
    bundle: bytes, forge: Callable[..., bytes], one: Checker, tools: dict[str, Callable[..., bytes]]
) -> None:
    other = contents(forge(observation(2, other=1)))["statement.dsse.json"]
    mixed = contents(forge()) | {"statement.dsse.json": other}
    one.refuses(tools["pack"](list(mixed.items())), "not the one about this")


# --- the one-file verifier as a program ---


def run_script(script: Path, bundle: Path, *keys: Path) -> subprocess.CompletedProcess[str]:
    arguments = [argument for key in keys for argument in ("--key", str(key))]
    return subprocess.run(
        [sys.executable, "-I", str(script), str(bundle), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_program_agrees(tmp_path: Path, ed25519: SigningKey, tools: dict[str, Callable[..., bytes]]) -> None:
    good = tools["write_bundle"](tmp_path / "good.zip", [ed25519], None)
    key, stranger = tmp_path / "signer.pub", tmp_path / "stranger.pub"
    key.write_bytes(ed25519.public.to_pem())
    stranger.write_bytes(SigningKey.generate().public.to_pem())
    Checker(ed25519).accepts(good)
    # What travels is the verifier that was tested, and a copy taken out of the bundle works.
    inside = tmp_path / "verify.py"
    inside.write_bytes(contents(good)["verify.py"])
    assert inside.read_bytes() == SCRIPT.read_bytes()
    done = run_script(inside, tmp_path / "good.zip", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert ed25519.key_id in done.stdout
    assert "unwitnessed" in done.stdout
    assert run_script(SCRIPT, tmp_path / "good.zip", key, stranger).returncode == 0
    rng = random.Random(2)
    spots = [rng.randrange(len(good)) for _ in range(8)]
    damaged = [good[:-1], good + b"\x00", b"", *(
        good[:spot] + bytes([good[spot] ^ 0x20]) + good[spot + 1 :] for spot in spots
    )]  # fmt: skip
    for data in damaged:
        Checker(ed25519).refuses(data)
        (tmp_path / "bad.zip").write_bytes(data)
        done = run_script(SCRIPT, tmp_path / "bad.zip", key)
        assert (done.returncode, done.stdout) == (5, "")
        assert done.stderr.startswith("NOT VERIFIED: ")
    for path, with_key, code in (
        ("good.zip", stranger, 5),
        ("none.zip", key, 5),
        (".", key, 5),
        ("good.zip", inside, 2),
    ):
        done = run_script(SCRIPT, tmp_path / path, with_key)
        assert done.returncode == code
        assert "Traceback" not in done.stderr
    assert run_script(SCRIPT, tmp_path / "good.zip").returncode == 2


def test_the_program_is_short_enough_to_read_and_needs_only_cryptography() -> None:
    text = SCRIPT.read_text("utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) <= 340
    assert "keycheck." not in "".join(line for line in text.splitlines() if "import" in line)
