from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.tls.wire.answers import Kind, NoAnswer
from probes.tls.wire.prelude import chain, http_connect, imap, postgresql, smtp
from probes.tls.wire.transport import Prelude, Ready

FACTORIES: list[Callable[[], Prelude]] = [
    lambda: smtp("probe.example"),
    imap,
    postgresql,
    lambda: http_connect("api.example", 443),
    lambda: chain(http_connect("api.example", 443), imap()),
]


def talk(prelude: Prelude, *received: bytes) -> tuple[bytes, Ready | NoAnswer | None]:
    sent = prelude.start()
    for data in received:
        sent += prelude.feed(data)
    return sent, prelude.answer


@pytest.mark.parametrize(
    ("received", "kind", "detail"),
    [
        ([b"554 go away\r\n"], Kind.STARTTLS_REFUSED, "554"),
        ([b"220 a\r\n", b"250-x\r\n250 HELP\r\n"], Kind.STARTTLS_REFUSED, "not advertised"),
        ([b"220 a\r\n", b"250-x\r\n250 STARTTLS\r\n", b"454 no\r\n"], Kind.STARTTLS_REFUSED, "454"),
        ([b"SSH-2.0\r\n"], Kind.PRELUDE_GARBAGE, "not an SMTP reply"),
        ([b"220 a\r\n", b"250 x\r\n", b""], Kind.STARTTLS_REFUSED, "not advertised"),
        (
            [b"220 a\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"],
            Kind.PRELUDE_GARBAGE,
            "bytes behind the go-ahead",
        ),
        ([b"220-more\r\n" * 200], Kind.PRELUDE_GARBAGE, "too much before TLS"),
        ([b"2" * 20000], Kind.PRELUDE_GARBAGE, "too much before TLS"),
    ],
)
def test_smtp(received: list[bytes], kind: Kind, detail: str) -> None:
    _, answer = talk(smtp("probe.example"), *received)
    assert isinstance(answer, NoAnswer)
    assert (answer.kind, answer.detail) == (kind, detail)


def test_smtp_goes_through_whatever_the_segments() -> None:
    script = b"220-a\r\n220 b\r\n250-x\r\n250-starttls\r\n250 y\r\n220 go\r\n"
    sent, answer = talk(smtp("probe.example"), *(bytes((byte,)) for byte in script))
    assert answer == Ready()
    assert sent == b"EHLO probe.example\r\nSTARTTLS\r\n"


@pytest.mark.parametrize(
    ("received", "kind"),
    [
        ([b"* BYE\r\n"], Kind.STARTTLS_REFUSED),
        ([b"* PREAUTH hi\r\n"], Kind.STARTTLS_REFUSED),
        ([b"* OK\r\n", b"k1 NO\r\n"], Kind.STARTTLS_REFUSED),
        ([b"* OK\r\n", b"k1 BAD what\r\n"], Kind.STARTTLS_REFUSED),
        ([b"* OK\r\n", b"k2 OK\r\n"], Kind.PRELUDE_GARBAGE),
        ([b"* OK\r\n", b"k1 OK go\r\n* injected\r\n"], Kind.PRELUDE_GARBAGE),
        ([b"+OK POP3\r\n"], Kind.PRELUDE_GARBAGE),
    ],
)
def test_imap(received: list[bytes], kind: Kind) -> None:
    _, answer = talk(imap(), *received)
    assert isinstance(answer, NoAnswer)
    assert answer.kind is kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"N", Kind.STARTTLS_REFUSED),
        (b"E\0\0", Kind.STARTTLS_REFUSED),
        (b"SX", Kind.PRELUDE_GARBAGE),
        (b"HTTP", Kind.PRELUDE_GARBAGE),
    ],
)
def test_postgresql(reply: bytes, kind: Kind) -> None:
    _, answer = talk(postgresql(), reply)
    assert isinstance(answer, NoAnswer)
    assert answer.kind is kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Kind.PROXY_REFUSED),
        (b"HTTP/1.0 502 Bad\r\nX: y\r\n\r\n", Kind.PROXY_REFUSED),
        (b"220 smtp\r\n", Kind.PRELUDE_GARBAGE),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", Kind.PRELUDE_GARBAGE),
    ],
)
def test_a_proxy_that_will_not(reply: bytes, kind: Kind) -> None:
    sent, answer = talk(http_connect("2001:db8::1", 443), reply)
    assert sent.startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n")
    assert isinstance(answer, NoAnswer)
    assert answer.kind is kind


def test_credentials_for_the_proxy_are_not_recorded() -> None:
    prelude = http_connect("api.example", 443, authorization="Basic c2VjcmV0")
    sent = prelude.start()
    assert b"c2VjcmV0" in sent
    assert b"c2VjcmV0" not in prelude.recordable(sent)


def test_a_chain_goes_on_where_the_first_ends() -> None:
    prelude = chain(http_connect("mail.example", 143), imap())
    _, answer = talk(prelude, b"HTTP/1.1 200 OK\r\n\r\n", b"* OK hi\r\n", b"k1 OK\r\n")
    assert answer == Ready()
    with pytest.raises(ValueError, match="at least one"):
        chain()


@pytest.mark.parametrize("host", ["a b", "a\r\nX: y", "", "x" * 300])
def test_hosts_that_would_break_the_line(host: str) -> None:
    with pytest.raises(ValueError, match="not a host"):
        http_connect(host, 443)
    with pytest.raises(ValueError, match="not a host"):
        smtp(host)
    with pytest.raises(ValueError, match="one line"):
        http_connect("a", 443, authorization="x\r\nEvil: y")


hostile = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([b"220 a\r\n", b"250 STARTTLS\r\n", b"* OK\r\n", b"k1 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\n"]),
)


@given(st.sampled_from(FACTORIES), st.lists(hostile, max_size=8))
def test_hostile_servers_never_raise(factory: Callable[[], Prelude], received: list[bytes]) -> None:
    talk(factory(), *received)
