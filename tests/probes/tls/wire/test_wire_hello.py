import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.tls.wire.hello import Hello, KeyShare, Ssl2Hello, encode, encode_as

RANDOM = bytes(range(32))
words = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=60).map(tuple)


def read(data: bytes) -> dict[str, object]:
    """An independent, strict reading of one ClientHello in one record."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        assert at <= len(data)
        return data[at - size : at]

    def number(size: int) -> int:
        return int.from_bytes(take(size), "big")

    assert number(1) == 22
    record_version = number(2)
    assert number(2) == len(data) - 5
    assert number(1) == 1
    assert number(3) == len(data) - 9
    version, random = number(2), take(32)
    session_id = take(number(1))
    suites = take(number(2))
    compressions = take(number(1))
    extensions: dict[int, bytes] = {}
    if at < len(data):
        assert number(2) == len(data) - at
        while at < len(data):
            kind = number(2)
            assert kind not in extensions
            extensions[kind] = take(number(2))
    return {
        "record": record_version, "version": version, "random": random, "session": session_id, "suites": suites,
        "compressions": compressions, "extensions": extensions,
    }  # fmt: skip


def codes(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


@given(words, words, words, st.lists(st.integers(0x300, 0x304), min_size=1, max_size=5), st.binary(max_size=32))
def test_what_is_specified_is_what_is_sent(
    suites: tuple[int, ...], groups: tuple[int, ...], sigalgs: tuple[int, ...], versions: list[int], session: bytes
) -> None:
    hello = Hello(
        random=RANDOM, suites=suites, groups=groups, sigalgs=sigalgs, supported_versions=tuple(versions),
        session_id=session, key_share=KeyShare.EMPTY, sni="api.example.com", alpn=("h2", "http/1.1"),
    )  # fmt: skip
    sent = read(encode(hello))
    extensions = sent["extensions"]
    assert isinstance(extensions, dict)
    assert (sent["random"], sent["session"]) == (RANDOM, session)
    assert codes(sent["suites"]) == suites  # type: ignore[arg-type]
    assert codes(extensions[10][2:]) == groups
    assert codes(extensions[13][2:]) == sigalgs
    assert codes(extensions[43][1:]) == tuple(versions)
    assert extensions[51] == b"\0\0"
    assert extensions[0] == b"\0\x12\0\0\x0fapi.example.com"
    assert extensions[16] == b"\0\x0c\x02h2\x08http/1.1"
    assert encode(dataclasses.replace(hello)) == encode(hello)


def test_signalling_values_and_flags() -> None:
    hello = Hello(
        random=RANDOM, suites=(0x002F,), legacy_version=0x0302, record_version=0x0302, renegotiation_scsv=True,
        fallback_scsv=True, extended_master_secret=True, encrypt_then_mac=True, session_ticket=True, point_formats=True,
        status_request=True, sct=True, psk_modes=True, compressions=(1, 0), extra=((0x1234, b"x"),),
    )  # fmt: skip
    sent = read(encode(hello))
    assert codes(sent["suites"]) == (0x002F, 0x00FF, 0x5600)  # type: ignore[arg-type]
    assert (sent["record"], sent["version"], sent["compressions"]) == (0x0302, 0x0302, b"\x01\0")
    assert set(sent["extensions"]) == {23, 22, 35, 11, 5, 18, 45, 0x1234}  # type: ignore[call-overload]


def test_an_ssl3_hello_has_no_extension_block() -> None:
    hello = Hello(
        random=RANDOM, suites=(5,), legacy_version=0x0300, record_version=0x0300, extensions=False, groups=(29,)
    )
    assert encode(hello) == bytes.fromhex("160300002d010000290300") + RANDOM + bytes.fromhex("00000200050100")


def test_fewer_than_128_suites() -> None:
    encode(Hello(random=RANDOM, suites=tuple(range(127))))
    for hello in (
        Hello(random=RANDOM, suites=tuple(range(128))),
        Hello(random=RANDOM, suites=tuple(range(127)), renegotiation_scsv=True),
        Hello(random=RANDOM, suites=()),
    ):
        with pytest.raises(ValueError, match="offers 1 to 127 suites"):
            encode(hello)


@pytest.mark.parametrize("sni", ["192.0.2.1", "2001:db8::1", "münchen.example", "", "a" * 254, "host.", "a b", "a\n"])
def test_names_that_server_name_may_not_carry(sni: str) -> None:
    with pytest.raises(ValueError, match="SNI"):
        encode(Hello(random=RANDOM, suites=(1,), sni=sni))


@pytest.mark.parametrize(
    "hello",
    [
        Hello(random=b"short", suites=(1,)),
        Hello(random=RANDOM, suites=(1,), session_id=bytes(33)),
        Hello(random=RANDOM, suites=(1,), compressions=()),
        Hello(random=RANDOM, suites=(1,), extra=((21, bytes(17000)),)),
        Hello(random=RANDOM, suites=(0x10000,)),
        Hello(random=RANDOM, suites=(1,), compressions=(256,)),
        Ssl2Hello(challenge=bytes(16), kinds=(1 << 24,)),
        Ssl2Hello(challenge=bytes(15), kinds=(0x010080,)),
        Ssl2Hello(challenge=bytes(16), kinds=()),
    ],
)
def test_impossible_hellos(hello: Hello | Ssl2Hello) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode(hello)


def test_ssl2_client_hello() -> None:
    hello = Ssl2Hello(challenge=bytes(range(16)), kinds=(0x010080, 0x0700C0))
    assert encode(hello) == bytes.fromhex("801f 01 0002 0006 0000 0010 010080 0700c0") + bytes(range(16))


@given(
    words, words, st.booleans(), st.sampled_from([None, "a.example", "b.example"]), st.binary(min_size=32, max_size=32)
)
def test_the_same_question_to_another_server_is_the_same_hello(
    suites: tuple[int, ...], groups: tuple[int, ...], extensions: bool, sni: str | None, random: bytes
) -> None:
    hello = Hello(random=RANDOM, suites=suites, groups=groups, extensions=extensions, key_share=KeyShare.EMPTY)
    told = dataclasses.replace(hello, random=random, sni=sni if extensions else None)
    assert encode_as(hello, random, sni) == encode_as(hello, random, sni) == encode(told)
    old = Ssl2Hello(challenge=RANDOM, kinds=(0x010080,))
    assert encode_as(old, random, sni) == encode(dataclasses.replace(old, challenge=random))
