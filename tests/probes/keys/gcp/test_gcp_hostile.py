"""A cloud that answers to mislead, to crash, to fill memory or evidence, or not at all. It speaks real gRPC."""

from __future__ import annotations

import itertools
import os
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import grpc
import pytest
from gcp_company import KEY_ASPECTS, LOG_ASPECTS, NOW, Company
from google.cloud.audit.audit_log_pb2 import AuditLog
from google.cloud.kms_v1.types import CryptoKey, CryptoKeyVersion, ListCryptoKeyVersionsResponse
from google.cloud.logging_v2.types import LogEntry
from google.cloud.resourcemanager_v3.types import Folder, Project
from google.iam.v1.iam_policy_pb2 import TestIamPermissionsResponse as Permissions
from google.iam.v1.policy_pb2 import Policy
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob, Disposition
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp.counted import MAX_FIELDS, check_count
from probes.clouds.gcp.names import key_name
from probes.clouds.gcp.patience import AGAIN_S, Patient
from probes.keys import gcp
from probes.keys.facts import EventFacts, LoggingFacts
from probes.keys.gcp.entries import MAX_USES, NEEDED, Tally
from probes.keys.gcp.inspection import MAX_BLOBS, fitting
from probes.keys.gcp_facts import Binding, GcpHierarchy, GcpKey

KEY = "projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/byok"
Answer = Callable[[grpc.ServicerContext], bytes]


def versions(*made: CryptoKeyVersion) -> bytes:
    data: bytes = ListCryptoKeyVersionsResponse.serialize(ListCryptoKeyVersionsResponse(crypto_key_versions=made))
    return data


def version(number: str = "1", **given: object) -> CryptoKeyVersion:
    return CryptoKeyVersion(name=f"{KEY}/cryptoKeyVersions/{number}", create_time=NOW, **given)


def project(name: str = "projects/123", id: str = "acme", parent: str = "") -> bytes:
    data: bytes = Project.serialize(Project(name=name, project_id=id, parent=parent))
    return data


HONEST: Mapping[str, bytes] = {
    "GetCryptoKey": CryptoKey.serialize(CryptoKey(name=KEY, purpose=1, create_time=NOW)),
    "ListCryptoKeyVersions": versions(version()),
    "GetIamPolicy": Policy().SerializeToString(),
    "GetProject": project(),
    "GetFolder": b"",
    "TestIamPermissions": Permissions(permissions=NEEDED).SerializeToString(),
    "ListLogEntries": b"",
}


@contextmanager
def cloud(company: Company, **over: bytes | Answer) -> Iterator[Io]:
    """The honest answers but some; gives an Io whose identity asks them."""

    class Cloud(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            method = str(details.method).rpartition("/")[2]
            answer = over.get(method, HONEST[method])

            def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
                return answer if isinstance(answer, bytes) else answer(context)

            return grpc.unary_unary_rpc_method_handler(handle)

    options = (("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0))
    server = grpc.server(ThreadPoolExecutor(8), handlers=(Cloud(),), options=options)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield company.io(
            company.named(api_endpoint=address, logging_endpoint=address, resource_manager_endpoint=address)
        )
    finally:
        server.stop(None).wait(5)


def look(company: Company, io: Io) -> tuple[GcpKey, tuple[Blob, ...]]:
    return gcp.key(company.subject(KEY), "europe-west3", KEY_ASPECTS, io)


def above(company: Company, io: Io) -> GcpHierarchy:
    found = look(company, io)[0].hierarchy
    assert isinstance(found, GcpHierarchy)
    return found


def log(company: Company, io: Io) -> tuple[LoggingFacts | Unseen, EventFacts | Unseen]:
    return gcp.log(company.subject(KEY), "europe-west3", LOG_ASPECTS, (NOW, NOW), io)[:2]


def test_the_honest_answers_are_believed(company: Company) -> None:
    with cloud(company) as io:
        assert above(company, io).complete
        logging, events = log(company, io)
        assert isinstance(logging, LoggingFacts)
        assert logging.complete
        assert isinstance(events, EventFacts)
        assert events.complete


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        project("projects/999", "stranger"),
        project("projects/acme"),
        project("projects/123\n"),
        project("", "acme"),
        project("projects/123", ""),
    ],
    ids=["empty", "another", "no-number", "newline", "nameless", "no-id"],
)
def test_an_answer_about_another_project_is_no_project_without_a_parent(company: Company, answer: bytes) -> None:
    with cloud(company, GetProject=answer) as io:
        hierarchy = above(company, io)
        assert not hierarchy.complete
        assert look(company, io)[0].project_number is None
        logging, _ = log(company, io)
        assert isinstance(logging, LoggingFacts)
        assert not logging.complete


@pytest.mark.parametrize("parent", ["organizations/1\n", "organizations/", "projects/1"])
def test_a_parent_is_a_folder_or_an_organization(company: Company, parent: str) -> None:
    with cloud(company, GetProject=project(parent=parent)) as io:
        assert not above(company, io).complete


def test_an_answer_about_another_folder_does_not_end_the_hierarchy(company: Company) -> None:
    other = Folder.serialize(Folder(name="folders/8", parent="organizations/1"))
    with cloud(company, GetProject=project(parent="folders/7"), GetFolder=other) as io:
        assert not above(company, io).complete
    own = Folder.serialize(Folder(name="folders/7", parent="organizations/1"))
    with cloud(company, GetProject=project(parent="folders/7"), GetFolder=own) as io:
        assert above(company, io).complete


@pytest.mark.parametrize("details", [status_pb2.Status(code=5, message="x").SerializeToString(), b"\xff\xff\xff"])
@pytest.mark.parametrize("method", ["GetIamPolicy", "GetCryptoKey", "ListLogEntries"])
def test_a_status_that_contradicts_itself_is_malformed(company: Company, method: str, details: bytes) -> None:
    def refuse(context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")

    with cloud(company, **{method: refuse}) as io:
        match method:
            case "GetCryptoKey":
                with pytest.raises(ProbeError) as caught:
                    look(company, io)
                assert caught.value.reason is Reason.MALFORMED
            case "ListLogEntries":
                events = log(company, io)[1]
                assert isinstance(events, Unseen)
                assert events.reason is Reason.MALFORMED
            case _:
                reasons = {
                    each.bindings.reason for each in above(company, io).levels if isinstance(each.bindings, Unseen)
                }
                assert reasons == {Reason.MALFORMED}


def test_a_newline_is_no_part_of_a_number(company: Company) -> None:
    with cloud(company, ListCryptoKeyVersions=versions(version("1\n"))) as io:
        found = look(company, io)[0].versions
        assert isinstance(found, Unseen)
        assert found.reason is Reason.MALFORMED
    with pytest.raises(ProbeError):
        key_name(KEY + "\n")


def test_a_cloud_that_repeats_our_token_is_not_recorded(company: Company) -> None:
    tokens: list[str] = []

    def token(context: grpc.ServicerContext) -> str:
        tokens.append(str(dict(context.invocation_metadata())["authorization"]))
        return tokens[-1]

    def in_facts(context: grpc.ServicerContext) -> bytes:
        sent = token(context)
        return versions(version(import_job=sent[:480], import_failure_reason=sent[480:]))

    def in_blob(context: grpc.ServicerContext) -> bytes:
        made = version()
        made.attestation.content = b"x" + token(context)[100:200].encode()
        return versions(made)

    for answer in (in_facts, in_blob):
        with cloud(company, ListCryptoKeyVersions=answer) as io, pytest.raises(ProbeError) as caught:
            look(company, io)
        assert caught.value.reason is Reason.MALFORMED
        assert tokens[-1][20:40] not in str(caught.value)


EMPTY = b"\x0a\x00"


@pytest.mark.parametrize(
    ("method", "bomb"),
    [
        ("ListCryptoKeyVersions", EMPTY * 1_000_000),
        ("ListCryptoKeyVersions", EMPTY * 101),
        ("ListCryptoKeyVersions", EMPTY * 3_000_000),
        ("ListLogEntries", EMPTY * 1_000_000),
        ("ListLogEntries", EMPTY * 501),
        ("GetIamPolicy", b"\x22\x00" * 250_000),
        ("GetProject", b"\x0a" + b"\x80\x80\x80\x01" + bytes(1 << 21)),
    ],
)
def test_more_than_was_asked_for_is_refused(company: Company, method: str, bomb: bytes) -> None:
    with cloud(company, **{method: bomb}) as io:
        match method:
            case "ListCryptoKeyVersions":
                found: object = look(company, io)[0].versions
            case "ListLogEntries":
                found = log(company, io)[1]
            case _:
                assert not above(company, io).complete
                return
        assert isinstance(found, Unseen)
        assert found.reason is Reason.MALFORMED


def test_fields_are_counted_before_they_are_parsed() -> None:
    check_count(EMPTY * MAX_FIELDS)
    with pytest.raises(DecodeError):
        check_count(EMPTY * (MAX_FIELDS + 1))
    with pytest.raises(DecodeError):
        check_count(b"\x08\x01" * (MAX_FIELDS + 1))
    with pytest.raises(DecodeError):
        check_count((b"\x0d" + bytes(4)) * (MAX_FIELDS + 1))
    check_count(HONEST["GetCryptoKey"])
    check_count(b"\x0a" + b"\xff" * 9 + b"\x01")  # a length beyond the end is for the parser to refuse


@given(st.binary(max_size=300))
def test_counting_ends_on_any_bytes(data: bytes) -> None:
    check_count(data)


def test_attestations_beyond_the_budget_leave_their_digests_only(company: Company) -> None:
    made = []
    for number in range(1, 8):
        each = version(str(number))
        each.attestation.content = bytes([number]) * 262_144
        made.append(each)
    pages = iter(range(1, 100))

    def answer(context: grpc.ServicerContext) -> bytes:
        page = next(pages)
        shifted = [CryptoKeyVersion(each) for each in made]
        for each in shifted:
            each.name = f"{KEY}/cryptoKeyVersions/{page * 100 + int(each.name.rpartition('/')[2])}"
        token = "" if page == 6 else str(page)
        response = ListCryptoKeyVersionsResponse(crypto_key_versions=shifted, next_page_token=token)
        data: bytes = ListCryptoKeyVersionsResponse.serialize(response)
        return data

    with cloud(company, ListCryptoKeyVersions=answer) as io:
        key, blobs = look(company, io)
    assert not isinstance(key.versions, Unseen)
    assert len(key.versions) == len(blobs) == 42
    whole = [blob for blob in blobs if blob.disposition is Disposition.PUBLIC]
    assert sum(len(blob.content) for blob in whole) == MAX_BLOBS
    assert {blob.disposition for blob in blobs[len(whole) :]} == {Disposition.DIGEST_ONLY}


def test_versions_that_would_fill_memory_are_not_read_on(company: Company) -> None:
    pages = itertools.count(1)

    def answer(context: grpc.ServicerContext) -> bytes:
        page = next(pages)
        made = version(str(page))
        made.attestation.content = bytes(3_900_000)
        response = ListCryptoKeyVersionsResponse(crypto_key_versions=[made], next_page_token=str(page))
        data: bytes = ListCryptoKeyVersionsResponse.serialize(response)
        return data

    with cloud(company, ListCryptoKeyVersions=answer) as io:
        found = look(company, io)[0].versions
    assert isinstance(found, Unseen)
    assert found.reason is Reason.NOT_COVERED
    assert next(pages) < 12


def test_a_silent_resource_manager_costs_no_key_its_versions(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.clouds.gcp.patience.SLOW_S", 0.3)  # in proportion to the budget here
    over = threading.Event()
    asked: list[str] = []

    def silent(context: grpc.ServicerContext) -> bytes:
        asked.append("")
        over.wait(20)
        return b""

    with (
        cloud(company) as honest,
        cloud(company, GetIamPolicy=silent, GetProject=silent, TestIamPermissions=silent) as io,
    ):
        named = io.identities[0].model_copy(update={"api_endpoint": honest.identities[0].api_endpoint})  # type: ignore[union-attr]
        named = named.model_copy(update={"logging_endpoint": honest.identities[0].logging_endpoint})  # type: ignore[union-attr]
        mixed = replace(io, identities=(named,), budget=4.0)
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: look(company, mixed)[0], range(8)))
            logs = list(pool.map(lambda _: log(company, mixed), range(4)))
        assert time.monotonic() - began < 8
        over.set()
    for key in found:
        assert not isinstance(key.versions, Unseen)
        assert isinstance(key.hierarchy, GcpHierarchy)
        assert not key.hierarchy.complete
        assert not isinstance(key.hierarchy.levels[0].bindings, Unseen)  # Cloud KMS's own word
    for _, events in logs:
        assert isinstance(events, EventFacts)
        assert not events.complete
    assert len(asked) <= 6


def test_a_slow_failure_is_believed_for_a_while_and_a_quick_one_is_not() -> None:
    now = [0.0]
    patient = Patient(lambda: now[0])
    asked: list[float] = []

    def fails(takes: float) -> Callable[[], str]:
        def make() -> str:
            asked.append(now[0])
            now[0] += takes
            return "failed"

        return make

    def lasting(answer: str) -> bool:
        return answer == "good"

    for _ in range(2):
        assert patient.get(fails(0.1), lasting, 1) == "failed"
    assert len(asked) == 2
    for _ in range(3):
        assert patient.get(fails(5.0), lasting, 1) == "failed"
    assert len(asked) == 3
    now[0] += AGAIN_S
    assert patient.get(lambda: "good", lasting, 1) == "good"
    assert patient.get(fails(9.0), lasting, 1) == "good"


def entry(number: int, who: str, reason: str = "", source: str = "192.0.2.1") -> LogEntry:
    made = AuditLog(method_name="Decrypt", resource_name=KEY)
    made.authentication_info.principal_email = who
    made.request_metadata.caller_ip = source
    made.request_metadata.request_attributes.reason = reason
    payload = Any(type_url="type.googleapis.com/google.cloud.audit.AuditLog", value=made.SerializeToString())
    name = "projects/acme/logs/cloudaudit.googleapis.com%2Fdata_access"
    return LogEntry(insert_id=str(number), log_name=name, timestamp=NOW, proto_payload=payload)


def test_callers_cannot_hide_others_behind_a_flood_of_kinds() -> None:
    vendor = "app@vendor.iam.gserviceaccount.com"
    reasons = ("R" + "".join(letters) for letters in itertools.product(string.ascii_uppercase, repeat=3))
    tally = Tally(key_name(KEY))
    tally.add(entry(number, vendor, next(reasons)) for number in range(600))
    tally.add(entry(1_000 + number, vendor, source=f"192.0.2.{number % 250}.{number}") for number in range(600))
    tally.add([entry(9_999, "stranger@evil.example", "CUSTOMER_INITIATED_ACCESS", "203.0.113.9")])
    uses = tally.uses()
    assert {use.principal for use in uses} == {f"serviceAccount:{vendor}", "user:stranger@evil.example"}
    assert sum(use.count for use in uses) == tally.entries == 1_201
    assert len(uses) <= MAX_USES
    assert any("too many kinds" in gap for gap in tally.gaps)  # and so the log is not called complete


def test_grpc_is_kept_from_writing_what_it_hears() -> None:
    check = (
        "import os, sys, probes.clouds.gcp.clients; "
        "sys.exit('grpc' in sys.modules or os.environ.get('GRPC_VERBOSITY') != 'NONE')"
    )
    clean = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    assert subprocess.run([sys.executable, "-c", check], check=False, env=clean).returncode == 0


def test_what_does_not_fit_into_a_line_of_evidence_leaves_the_rest(company: Company) -> None:
    with cloud(company) as io:
        key, _ = look(company, io)
    assert fitting(key) == key
    assert not isinstance(key.versions, Unseen)
    assert isinstance(key.hierarchy, GcpHierarchy)
    many = key.model_copy(update={"versions": key.versions * 2_000})
    cut = fitting(many)
    assert isinstance(cut.versions, Unseen)
    assert cut.versions.reason is Reason.NOT_COVERED
    assert cut.hierarchy == key.hierarchy
    level = key.hierarchy.levels[0]
    wide = level.model_copy(
        update={"bindings": (Binding(role="r", members=("user:" + "x" * 300,) * 2_000, condition=None),)}
    )
    cut = fitting(key.model_copy(update={"hierarchy": key.hierarchy.model_copy(update={"levels": (wide,)})}))
    assert isinstance(cut.hierarchy, Unseen)
    assert cut.versions == key.versions
