"""The probe on real sockets: the practice vendor, honest and cheating, and servers that answer nonsense."""

from __future__ import annotations

import itertools
import json
import secrets
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keycheck.errors import ProbeError
from keycheck.lab.world import Lab, LabEndpoint
from keycheck.model.authorization import Technique
from keycheck.model.control import Control
from keycheck.model.deployment import HERE, Vantage
from keycheck.model.facts import Unseen, seen
from keycheck.model.probe import Io, Observed
from keycheck.model.verdict import Kind, Reason, Verdict
from probes.tls import controls
from probes.tls.answer_facts import NoAnswerFact, Purpose, QuestionFacts
from probes.tls.facts import RenegotiationFacts, TlsFacts
from probes.tls.inventory import Inventory, take_inventory
from probes.tls.observe import WRONG_NAME, EndpointProbe
from probes.tls.subjects import Endpoint
from probes.tls.wire.codepoints import SUITES
from probes.tls.wire.transport import Address

SUITES13 = frozenset({"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
GROUPS = frozenset({"X25519MLKEM768", "x25519", "secp256r1", "secp384r1", "x448", "secp521r1"})
DEMANDS: tuple[Control, ...] = (
    controls.Protocols(only=frozenset({"TLSv1.3"})),
    controls.Suites(only=SUITES13),
    controls.Groups(only=GROUPS),
    controls.PostQuantum(mode="preferred"),
    controls.Certificate(),
    controls.Chain(),
    controls.Revocation(),
    controls.Hsts(),
    controls.EarlyData(),
    controls.Renegotiation(),
    controls.Compression(),
    controls.ClientAuth(applies="declared"),
)
PROBE = EndpointProbe()


def an_io(**changed: object) -> Io:
    io = Io(
        vantage=HERE,
        budget=30.0,
        demands=DEMANDS,
        samples=1,
        authorized=frozenset({Technique.ACTIVE_TLS}),
        base=Path("/"),
        environment={},
        resolver=lambda host, seconds: (),
        clock=lambda: datetime.now(UTC),
        entropy=secrets.token_bytes,
    )
    return replace(io, **changed)


def endpoint(lab: LabEndpoint, **changed: object) -> Endpoint:
    scheme = {None: "https", "postgres": "postgresql"}.get(lab.starttls, lab.starttls)
    body: dict[str, object] = {
        "id": lab.id,
        "url": f"{scheme}://{lab.host}:{lab.port}",
        "addresses": lab.addresses,
        "ca": str(lab.ca),
        "answer_within": "PT1S",
    }
    if lab.client_cert is not None:
        body |= {
            "client_auth": "required",
            "client_certificate": str(lab.client_cert),
            "client_key": f"file:{lab.client_key}",
        }
    return Endpoint.model_validate({**body, **changed})


def look(subject: Endpoint, io: Io) -> dict[str, Observed]:
    return {part: PROBE.work(subject, part, io) for part in PROBE.survey(subject, io).parts}


def facts_of(observed: Observed) -> TlsFacts:
    assert isinstance(observed.facts, TlsFacts), observed.facts
    assert TlsFacts.model_validate_json(seen(observed.facts).facts) == observed.facts
    return observed.facts


def shown(parts: dict[str, Observed]) -> dict[str, set[Kind]]:
    return {control.id: {control.judge(facts_of(o)).kind for o in parts.values()} for control in DEMANDS}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("clean")) as lab:
        yield lab


@pytest.mark.parametrize("name", ["api", "portal", "partner", "partner-http", "mail-smtp", "mail-imap", "db"])
def test_an_honest_endpoint_passes_everything(clean: Lab, name: str) -> None:
    for control, kinds in shown(look(endpoint(clean.endpoint(name)), an_io())).items():
        assert kinds <= {Kind.PASS, Kind.NOT_APPLICABLE}, (name, control)


def test_http_client_authentication_is_asked_for_in_tls(clean: Lab) -> None:
    """What a status means is known only because the server requested a certificate."""
    subject = endpoint(clean.endpoint("partner-http"), names=("right",))
    for observed in look(subject, an_io()).values():
        facts = facts_of(observed)
        assert all(done.client_certificate_requested for done in facts.completed)
        assert controls.ClientAuth().judge(facts).kind is Kind.PASS


def test_an_endpoint_that_declares_no_client_certificates_fails_where_they_are_for_everybody(clean: Lab) -> None:
    observed = next(iter(look(endpoint(clean.endpoint("api"), names=("right",)), an_io()).values()))
    assert controls.ClientAuth().judge(facts_of(observed)).kind is Kind.FAIL


def test_parts_of_one_address_share_a_lane(clean: Lab) -> None:
    subject = endpoint(clean.endpoint("api"))
    parts = PROBE.survey(subject, an_io()).parts
    lanes = {part: PROBE.lane(subject, part) for part in parts}
    assert set(lanes.values()) == set(clean.endpoint("api").addresses)
    assert all(part.startswith(lane) for part, lane in lanes.items())


def test_parts_and_names(clean: Lab) -> None:
    api = clean.endpoint("api")
    parts = look(endpoint(api), an_io())
    assert len(parts) == 3 * len(api.addresses)
    by_label = {part.partition(" ")[2]: facts_of(o).name for part, o in parts.items()}
    assert by_label == {"right-name": api.host, "no-name": None, "wrong-name": WRONG_NAME}


def test_connections_stay_within_the_budget(clean: Lab) -> None:
    for part, observed in look(endpoint(clean.endpoint("api")), an_io()).items():
        lines = [json.loads(line) for line in observed.blobs[0].content.splitlines()]
        tls = [line for line in lines if not line["question"].startswith("sslv")]
        assert len(tls) <= 16, part


def test_the_transcript_replays(clean: Lab) -> None:
    observed = PROBE.work(subject := endpoint(clean.endpoint("api")), PROBE.survey(subject, an_io()).parts[0], an_io())
    lines = {line["question"]: line for line in map(json.loads, observed.blobs[0].content.splitlines())}
    question = next(q for q in facts_of(observed).questions if q.id == "tls1.2-versions-1")
    assert lines[question.id]["answer"] == "alert 70"
    ip, _, port = clean.endpoint("api").addresses[0].rpartition(":")
    with socket.create_connection((ip, int(port)), timeout=3) as link:
        link.sendall(bytes.fromhex(lines[question.id]["sent"]))
        assert link.recv(100).hex() == lines[question.id]["received"]


def test_without_authorization_only_the_handshake_is_made(clean: Lab) -> None:
    io = an_io(authorized=frozenset())
    subject = endpoint(clean.endpoint("api"), names=("right",))
    observed = PROBE.work(subject, PROBE.survey(subject, io).parts[0], io)
    facts = facts_of(observed)
    assert facts.questions == ()
    assert len(observed.blobs[0].content.splitlines()) == 1
    kinds = {control.id: control.judge(facts) for control in DEMANDS}
    assert kinds["tls.certificate"].kind is Kind.PASS
    assert kinds["tls.hsts"].kind is Kind.PASS
    assert kinds["tls.protocols"].reasons == (Reason.NOT_AUTHORIZED,)


def test_a_hello_is_fresh_for_every_run(clean: Lab) -> None:
    subject = endpoint(clean.endpoint("api"), names=("right",))
    part = PROBE.survey(subject, an_io()).parts[0]
    first, second = (facts_of(PROBE.work(subject, part, an_io())) for _ in range(2))
    assert not {q.sent for q in first.questions} & {q.sent for q in second.questions}


@pytest.mark.parametrize(
    ("defect", "fails"),
    [
        ("tls-1.0-accepted", {"tls.protocols", "tls.suites"}),
        ("tls-1.2-accepted", {"tls.protocols", "tls.suites"}),
        ("ssl-2-accepted", {"tls.protocols"}),
        ("null-suite", {"tls.suites"}),
        ("compression-accepted", {"tls.protocols", "tls.suites", "tls.compression"}),
        ("renegotiation-accepted", {"tls.protocols", "tls.suites", "tls.renegotiation"}),
        ("early-data-accepted", {"tls.early-data"}),
        ("no-hsts", {"tls.hsts"}),
        ("one-bad-address", {"tls.protocols", "tls.suites"}),
        ("missing-post-quantum", {"tls.post-quantum"}),
        ("stray-default-vhost", {"tls.protocols", "tls.suites", "tls.post-quantum"}),
        ("name-rejecting", set()),
        ("hybrid-only", set()),
    ],
)
def test_a_defect_fails_its_controls_and_no_others(tmp_path: Path, defect: str, fails: set[str]) -> None:
    with Lab(tmp_path, [defect]) as lab:
        parts = look(endpoint(lab.endpoint(lab.choices[0].at)), an_io())
    kinds = shown(parts)
    assert {control for control, seen_ in kinds.items() if Kind.FAIL in seen_} == fails
    assert not any({Kind.INCONCLUSIVE, Kind.ERROR, Kind.NOT_TESTED} & seen_ for seen_ in kinds.values()), kinds


def test_one_bad_back_end_in_four_is_found_by_repetition(tmp_path: Path) -> None:
    with Lab(tmp_path, ["one-bad-backend"]) as lab:
        subject = endpoint(lab.endpoint("portal"), names=("right",))
        (observed,) = look(subject, an_io(samples=11)).values()
    facts = facts_of(observed)
    assert DEMANDS[0].judge(facts).kind is Kind.FAIL
    assert facts.samples() >= 11 or 0x0303 in facts.accepted_versions()


def test_interception_on_our_own_side_is_no_finding(tmp_path: Path) -> None:
    with Lab(tmp_path, ["intercepted"]) as lab:
        assert lab.interception_ca is not None
        vantage = Vantage(id="here", interception_cas=(str(lab.interception_ca),))
        subject = endpoint(lab.endpoint(lab.choices[0].at), names=("right",))
        for observed in look(subject, an_io(vantage=vantage)).values():
            assert isinstance(observed.facts, Unseen)
            assert observed.facts.reason is Reason.INTERCEPTED


def test_nobody_there(tmp_path: Path) -> None:
    with Lab(tmp_path, ["down"]) as lab:
        subject = endpoint(lab.endpoint(lab.choices[0].at), names=("right",))
        observed = next(iter(look(subject, an_io()).values()))
    assert isinstance(observed.facts, Unseen)
    assert observed.facts.reason is Reason.UNREACHABLE
    assert observed.blobs[0].content


def test_a_rate_limiter_hides_nothing(tmp_path: Path) -> None:
    with Lab(tmp_path, ["resets-above-20", "tls-1.0-accepted"]) as lab:
        subject = endpoint(lab.endpoint("api"), names=("right",))
        facts = [facts_of(o) for o in look(subject, an_io()).values()]
    assert all(DEMANDS[0].judge(each).kind is Kind.FAIL for each in facts)


# -- the census ---------------------------------------------------------------------------------------------


def test_names_are_resolved_to_every_address() -> None:
    subject = Endpoint(id="api", url="https://api.example", names=("right", "none"))
    census = PROBE.survey(subject, an_io(resolver=lambda host, seconds: ("192.0.2.7", "2001:db8::7", "192.0.2.7")))
    assert census.parts == (
        "192.0.2.7:443 right-name",
        "192.0.2.7:443 no-name",
        "[2001:db8::7]:443 right-name",
        "[2001:db8::7]:443 no-name",
    )
    assert census.open == ()


def test_what_cannot_be_resolved_leaves_the_census_open() -> None:
    subject = Endpoint(id="api", url="https://api.example")

    def fails(host: str, seconds: float) -> tuple[str, ...]:
        raise ProbeError(Reason.TIMEOUT, "no answer from the resolver")

    assert PROBE.survey(subject, an_io(resolver=fails)).open[0].reason is Reason.TIMEOUT
    assert PROBE.survey(subject, an_io()).open[0].reason is Reason.UNREACHABLE
    many = tuple(f"192.0.2.{n}" for n in range(100))
    census = PROBE.survey(subject, an_io(resolver=lambda host, seconds: many))
    assert census.open[0].reason is Reason.NOT_COVERED


def test_an_address_has_no_name_to_leave_out() -> None:
    subject = Endpoint(id="api", url="https://192.0.2.7")
    assert PROBE.survey(subject, an_io()).parts == ("192.0.2.7:443 right-name", "192.0.2.7:443 wrong-name")


def test_a_plan_touches_nothing_and_counts() -> None:
    subject = Endpoint(id="api", url="https://api.example", addresses=("192.0.2.7",))
    passive, active = PROBE.touches(subject, an_io())
    assert (passive.technique, active.technique) == (Technique.PASSIVE, Technique.ACTIVE_TLS)
    assert passive.connections == 3
    assert not active.changes


# -- servers that answer nonsense ---------------------------------------------------------------------------

Behaviour = Callable[[socket.socket], None]


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[int]:
    """A raw server on loopback; each connection gets a thread."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.settimeout(0.1)
    over = threading.Event()

    def one(link: socket.socket) -> None:
        with link:
            link.settimeout(3)
            try:
                behaviour(link)
            except OSError:
                return

    def accept() -> None:
        while not over.is_set():
            try:
                link, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=one, args=(link,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join(2)
        listener.close()


def _closes(link: socket.socket) -> None:
    link.recv(4096)


def _http(link: socket.socket) -> None:
    link.recv(4096)
    link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _internal_error(link: socket.socket) -> None:
    link.recv(4096)
    link.sendall(b"\x15\x03\x03\x00\x02\x02\x50")


def _endless(link: socket.socket) -> None:
    link.recv(4096)
    while True:
        link.sendall(b"\x15\x03\x03\x00\x02\x01\x5a" * 1000)


def _never_offered(link: socket.socket) -> None:
    """A ServerHello for SSLv3 with a suite that nobody offered, whatever was asked."""
    link.recv(4096)
    body = b"\x03\x00" + bytes(32) + b"\x00" + b"\x99\x99" + b"\x00"
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    link.sendall(b"\x16\x03\x00" + len(message).to_bytes(2, "big") + message)


@pytest.mark.parametrize("behaviour", [_closes, _http, _internal_error, _endless, _never_offered])
def test_nonsense_neither_passes_nor_fails(behaviour: Behaviour) -> None:
    with serving(behaviour) as port:
        url = f"https://api.example:{port}"
        subject = Endpoint(id="api", url=url, addresses=(f"127.0.0.1:{port}",), names=("right",), answer_within="PT1S")
        began = time.monotonic()
        (observed,) = look(subject, an_io(budget=10.0)).values()
        assert time.monotonic() - began < 11
    if isinstance(observed.facts, Unseen):
        return
    for control in DEMANDS:
        verdict = control.judge(facts_of(observed))
        assert verdict.kind is Kind.INCONCLUSIVE, (control.id, verdict)
    assert len(observed.blobs[0].content) < 3 << 20


def test_connections_leave_from_the_vantages_source() -> None:
    peers: set[str] = set()

    def note(link: socket.socket) -> None:
        peers.add(link.getpeername()[0])

    with serving(note) as port:
        url = f"https://api.example:{port}"
        subject = Endpoint(id="api", url=url, addresses=(f"127.0.0.1:{port}",), names=("right",), answer_within="PT1S")
        look(subject, an_io(vantage=Vantage(id="there", source="127.0.0.44"), demands=(), authorized=frozenset()))
        assert peers == {"127.0.0.44"}
        (observed,) = look(subject, an_io(vantage=Vantage(id="nowhere", source="192.0.2.44"))).values()
    assert isinstance(observed.facts, Unseen)
    assert peers == {"127.0.0.44"}


def test_silence_is_recorded_as_silence_within_the_budget() -> None:
    with serving(lambda link: time.sleep(3)) as port:
        subject = Endpoint(
            id="api",
            url=f"https://api.example:{port}",
            addresses=(f"127.0.0.1:{port}",),
            names=("right",),
            answer_within="PT1S",
        )
        (observed,) = look(subject, an_io(budget=8.0)).values()
    facts = facts_of(observed)
    answers = {a.answer for q in facts.questions for a in q.answers}
    assert all(isinstance(answer, NoAnswerFact) and answer.how == "timeout" for answer in answers)
    assert Reason.TIMEOUT in DEMANDS[0].judge(facts).reasons


# -- servers that refuse for other reasons than what was offered --------------------------------------------

FAILURE_ALERT = b"\x28"


@pytest.fixture(scope="module")
def server_context(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("server") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))

    def made(lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = lowest, highest
        return context

    return made


def _serve(link: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(link, server_side=True) as tls:
        tls.recv(4096)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _limited(context: ssl.SSLContext, per_second: int) -> Behaviour:
    """Serves while few come; whoever comes too fast is refused by a fatal alert, whatever was offered."""
    came: list[float] = []
    lock = threading.Lock()

    def behaviour(link: socket.socket) -> None:
        with lock:
            now = time.monotonic()
            came.append(now)
            many = sum(now - at < 1 for at in came) > per_second
        if many:
            link.recv(4096)
            link.sendall(b"\x15\x03\x01\x00\x02\x02" + FAILURE_ALERT)
        else:
            _serve(link, context)

    return behaviour


def _protocols(behaviour: Behaviour, only: frozenset[str], samples: int = 1) -> Verdict:
    control = controls.Protocols(only=only)
    with serving(behaviour) as port:
        url = f"https://api.example:{port}"
        subject = Endpoint(id="api", url=url, addresses=(f"127.0.0.1:{port}",), names=("right",), answer_within="PT1S")
        (observed,) = look(subject, an_io(budget=15.0, demands=(control,), samples=samples)).values()
    return control.judge(facts_of(observed))


@pytest.mark.parametrize(
    ("lowest", "highest", "only"),
    [
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3, frozenset({"TLSv1.3"})),
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3, frozenset({"TLSv1.2", "TLSv1.3"})),
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, frozenset({"TLSv1.2", "TLSv1.3"})),
    ],
)
@pytest.mark.parametrize("samples", [1, 3])
def test_a_limiter_that_refuses_by_alert_earns_no_pass(
    server_context: Callable[..., ssl.SSLContext],
    lowest: ssl.TLSVersion,
    highest: ssl.TLSVersion,
    only: frozenset[str],
    samples: int,
) -> None:
    verdict = _protocols(_limited(server_context(lowest, highest), 4), only, samples)
    assert verdict.kind in (Kind.INCONCLUSIVE, Kind.FAIL), verdict.message


def test_a_calm_server_still_passes(server_context: Callable[..., ssl.SSLContext]) -> None:
    """The limiter's verdict is due to the limit: without it the same server is judged by what it speaks."""
    calm = server_context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    old = server_context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    both = frozenset({"TLSv1.2", "TLSv1.3"})
    for context in (calm, old):
        assert _protocols(_limited(context, 1000), both).kind is Kind.PASS
    assert _protocols(_limited(calm, 1000), frozenset({"TLSv1.3"})).kind is Kind.FAIL


def test_a_warning_hides_no_old_version(server_context: Callable[..., ssl.SSLContext]) -> None:
    context = server_context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)

    def behaviour(link: socket.socket) -> None:
        if b"\x00\x2b\x00\x03\x02\x03\x04" not in link.recv(4096, socket.MSG_PEEK):
            link.sendall(b"\x15\x03\x03\x00\x02\x01" + FAILURE_ALERT)
        _serve(link, context)

    verdict = _protocols(behaviour, frozenset({"TLSv1.3"}))
    assert verdict.kind is Kind.FAIL, verdict.message


def test_a_warning_and_a_close_are_no_refusal(server_context: Callable[..., ssl.SSLContext]) -> None:
    context = server_context(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)

    def behaviour(link: socket.socket) -> None:
        if b"\x00\x2b\x00\x03\x02\x03\x04" in link.recv(4096, socket.MSG_PEEK):
            _serve(link, context)
        else:
            link.sendall(b"\x15\x03\x03\x00\x02\x01" + FAILURE_ALERT)
            link.recv(4096)

    assert _protocols(behaviour, frozenset({"TLSv1.3"})).kind is Kind.INCONCLUSIVE


@pytest.mark.parametrize("old", range(4))
def test_the_one_back_end_in_four_that_renegotiates_is_met(
    server_context: Callable[..., ssl.SSLContext], old: int
) -> None:
    """Round robin over four: one of them speaks TLS 1.2 as well."""
    new = server_context(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
    both = server_context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    turn = itertools.count(old)
    control = controls.Renegotiation()
    with serving(lambda link: _serve(link, new if next(turn) % 4 else both)) as port:
        url = f"https://api.example:{port}"
        subject = Endpoint(id="api", url=url, addresses=(f"127.0.0.1:{port}",), names=("right",), answer_within="PT1S")
        io = an_io(samples=11, demands=(DEMANDS[0], control))
        (observed,) = look(subject, io).values()
    facts = facts_of(observed)
    assert 0x0303 in facts.accepted_versions()
    assert isinstance(facts.renegotiation, RenegotiationFacts)
    assert facts.renegotiation.outcome not in ("handshake-stopped", "no-answer")


# -- the inventory ------------------------------------------------------------------------------------------


def inventory_of(lab: Lab, name: str = "api") -> Inventory:
    ip, _, port = lab.endpoint(name).addresses[0].rpartition(":")
    return take_inventory(
        Address(ip, int(port)),
        lab.endpoint(name).host,
        clock=lambda: time.monotonic_ns() // 1000,
        entropy=secrets.token_bytes,
        wait_us=1_000_000,
    )


def test_the_inventory_lists_everything_in_the_servers_order(tmp_path: Path) -> None:
    with Lab(tmp_path, ["tls-1.2-accepted"]) as lab:
        found = inventory_of(lab)
    new, old = found.offered
    assert found.complete
    assert (new.version, old.version) == (0x0304, 0x0303)
    assert new.suites == (0x1302, 0x1303)
    assert new.order == "server"
    assert new.groups[0] == 0x11EC
    assert set(old.suites) <= set(SUITES)
    assert len(old.suites) >= 2
    assert found.resumption == "resumed"


def test_an_inventory_of_nobody_knows_nothing_of_resumption(tmp_path: Path) -> None:
    with Lab(tmp_path, ["refuses-everything"]) as lab:
        found = inventory_of(lab)
    assert not found.complete
    assert found.resumption == "unknown"


def test_an_inventory_of_silence_is_incomplete(tmp_path: Path) -> None:
    with Lab(tmp_path, ["drops-old-hellos"]) as lab:
        found = inventory_of(lab)
    assert not found.complete
    assert any(each.trouble for each in found.offered)


def _twins(facts: TlsFacts) -> list[QuestionFacts]:
    return [q for q in facts.questions if q.tests is Purpose.TWIN]


def test_every_refusal_has_its_twin_in_the_facts(clean: Lab) -> None:
    subject = endpoint(clean.endpoint("api"), names=("right",))
    for observed in look(subject, an_io()).values():
        facts = facts_of(observed)
        assert _twins(facts)
        for question in facts.questions:
            if question.tests is not Purpose.TWIN:
                assert facts.evidence.twin_accepted(question), question.id
