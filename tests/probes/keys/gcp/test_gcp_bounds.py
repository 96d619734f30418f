"""Pages, pace, times and failures, without a network."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.audit.audit_log_pb2 import AuditLog, AuthenticationInfo
from google.iam.v1.policy_pb2 import AuditConfig, AuditLogConfig, Binding, Policy
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.clouds.gcp.errors import heard, translated
from probes.clouds.gcp.names import key_name, moment, same_key, seconds, version_number
from probes.clouds.gcp.pace import Pace, Quota
from probes.clouds.gcp.pages import Bounds, Page, read_all
from probes.keys.gcp.entries import decoded, member, use_of
from probes.keys.gcp.hierarchy import read_policy

KEY = "projects/acme/locations/eu/keyRings/r/cryptoKeys/k"


def served(*pages: Page[int]) -> Callable[[str], Page[int]]:
    left = list(pages)
    return lambda token: left.pop(0)


def test_all_pages_are_read() -> None:
    listing = read_all(served(Page([1, 2], "a"), Page([], "b"), Page([3], "")), Bounds(9, 9))
    assert (listing.items, listing.rest) == ((1, 2, 3), None)


@given(st.integers(1, 6), st.integers(1, 20))
def test_pages_that_never_end_are_bounded(pages: int, items: int) -> None:
    asked: list[str] = []

    def endless(token: str) -> Page[int]:
        asked.append(token)
        return Page([1], f"t{len(asked)}")

    listing = read_all(endless, Bounds(pages, items))
    assert len(asked) <= pages
    assert len(listing.items) <= items
    assert listing.rest is not None
    assert listing.rest.reason is Reason.NOT_COVERED


def test_a_page_larger_than_the_bound_is_cut() -> None:
    listing = read_all(served(Page(range(1_000_000), "")), Bounds(9, 10))
    assert len(listing.items) == 10
    assert listing.rest is not None


def test_a_token_that_comes_back_is_malformed() -> None:
    listing = read_all(served(Page([1], "a"), Page([2], "b"), Page([3], "a")), Bounds(9, 9))
    assert listing.rest is not None
    assert listing.rest.reason is Reason.MALFORMED


@pytest.mark.parametrize("items", [[], [1]])
def test_fewer_than_the_cloud_counts_is_not_all(items: list[int]) -> None:
    listing = read_all(served(Page(items, "", total=2)), Bounds(9, 9))
    assert listing.rest is not None
    assert listing.rest.reason is Reason.NOT_COVERED


def test_a_later_page_that_fails_leaves_a_reason() -> None:
    def fetch(token: str) -> Page[int]:
        if token:
            raise ProbeError(Reason.TIMEOUT, "too slow")
        return Page([1], "a")

    listing = read_all(fetch, Bounds(9, 9))
    assert listing.items == (1,)
    assert listing.rest is not None
    assert listing.rest.reason is Reason.TIMEOUT


def test_a_first_page_that_fails_is_raised() -> None:
    def fetch(token: str) -> Page[int]:
        raise ProbeError(Reason.PERMISSION_DENIED, "no")

    with pytest.raises(ProbeError):
        read_all(fetch, Bounds(9, 9))


def test_the_pace_lets_a_burst_through_and_then_keeps_the_rate() -> None:
    now = [0.0]
    pace = Pace(Quota(3, 2.0), lambda: now[0])
    assert [pace.wait(9) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    assert pace.wait(1) is None  # too long: nothing is taken
    now[0] = 10
    assert [pace.wait(9) for _ in range(4)] == [0, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (api.PermissionDenied("x"), Reason.PERMISSION_DENIED),
        (api.Unauthenticated("x"), Reason.PERMISSION_DENIED),
        (api.NotFound("x"), Reason.UNREACHABLE),
        (api.ResourceExhausted("Quota exceeded"), Reason.THROTTLED),
        (api.ResourceExhausted("Received message larger than max (9 vs. 4)"), Reason.MALFORMED),
        (api.DeadlineExceeded("x"), Reason.TIMEOUT),
        (api.RetryError("x", None), Reason.TIMEOUT),
        (api.ServiceUnavailable("failed to connect"), Reason.UNREACHABLE),
        (
            api.ServiceUnavailable("Getting metadata from plugin failed with error: invalid_grant"),
            Reason.PERMISSION_DENIED,
        ),
        (
            api.ServiceUnavailable(
                "Getting metadata from plugin failed with error: ('invalid_grant: Invalid JWT: Token must be a "
                "short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values',)"
            ),
            Reason.CLOCK_UNTRUSTED,
        ),
        (api.MethodNotImplemented("x"), Reason.UNSUPPORTED),
        (api.InvalidArgument("x"), Reason.MALFORMED),
        (api.InternalServerError("Exception deserializing response!"), Reason.MALFORMED),
        (api.InternalServerError("oops"), Reason.UNREACHABLE),
        (api.Unknown("x"), Reason.UNREACHABLE),
        (auth.DefaultCredentialsError("x"), Reason.PERMISSION_DENIED),
        (auth.RefreshError("invalid_grant: Bad Request"), Reason.PERMISSION_DENIED),
        (
            auth.RefreshError(
                "invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                "timeframe. Check your iat and exp values in the JWT claim.",
                {"error": "invalid_grant"},
            ),
            Reason.CLOCK_UNTRUSTED,
        ),
        (auth.TransportError("x"), Reason.UNREACHABLE),
        (DecodeError("x"), Reason.MALFORMED),
        (grpc.RpcError("x"), Reason.UNREACHABLE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_failures_have_their_reasons(error: Exception, reason: Reason) -> None:
    found = translated(error, "get the key", "inspector")
    assert found is not None
    assert found.reason is reason


def test_what_is_none_of_theirs_is_no_observation() -> None:
    assert translated(KeyError("x"), "get the key", "inspector") is None


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer abc.def-ghi",
        "ya29.a0AfB_byC-123",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln",
        "-----BEGIN PRIVATE KEY-----\nMIIE",
        '"refresh_token": "1//0abc"',
        "1//0eXXXXXXXXXXXXXXXXXXXXXXX",
        "assertion=QUJDREVG",
    ],
)
def test_an_echo_of_a_credential_is_withheld(secret: str) -> None:
    error = translated(api.PermissionDenied(f"you sent {secret} to us"), "get the key", "inspector")
    assert error is not None
    shown = str(error)
    assert "[withheld]" in shown
    for piece in ("abc.def", "a0AfB", "eyJhbG", "MIIE", "0abc", "0eXXX", "QUJDREVG"):
        assert piece not in shown


def test_a_refused_login_repeats_nothing_of_the_answer() -> None:
    error = translated(auth.RefreshError("planted", {"planted": "planted"}), "get the key", "inspector")
    assert error is not None
    assert "planted" not in str(error)


@given(st.text(max_size=3_000))
def test_a_servers_words_are_bounded_and_printable(text: str) -> None:
    assert len(heard(text)) <= 301
    assert heard(text).isprintable()


@pytest.mark.parametrize(
    "stamp",
    [Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(seconds=1, nanos=-1), Timestamp(nanos=2**31 - 1)],
)
def test_times_that_are_none_are_malformed(stamp: Timestamp) -> None:
    with pytest.raises(ProbeError):
        moment(stamp)


def test_durations_that_are_none_are_malformed() -> None:
    assert seconds(Duration(seconds=5)) == 5
    for span in (Duration(seconds=-1), Duration(seconds=2**62)):
        with pytest.raises(ProbeError):
            seconds(span)


def test_only_versions_of_the_key_are_its_versions() -> None:
    key = key_name(KEY)
    assert version_number(f"{KEY}/cryptoKeyVersions/12", key) == "12"
    number = KEY.replace("acme", "123")
    assert version_number(f"{number}/cryptoKeyVersions/1", key) == "1"
    for other in (KEY, f"{KEY}2/cryptoKeyVersions/1", f"{KEY}/cryptoKeyVersions/x", f"x/{KEY}/cryptoKeyVersions/1", ""):
        with pytest.raises(ProbeError):
            version_number(other, key)
    assert not same_key(f"{KEY}2", key)
    assert not same_key(f"projects/acme/x{key.below_project}", key)


def log_of(**request: str) -> AuditLog:
    log = AuditLog(method_name="Decrypt", resource_name=f"{KEY}/cryptoKeyVersions/1")
    log.authentication_info.principal_email = "app@vendor.iam.gserviceaccount.com"
    for name, value in request.items():
        setattr(log.request_metadata.request_attributes, name, value)
    return log


def test_the_justification_stands_where_google_documents_it() -> None:
    log = log_of(reason="8uSywAYQGg5Db2xpc2V1bSBGbG93cw")
    assert use_of(log).justification is None  # opaque, of Google's own services
    log.metadata.update({"entries": {"key_access_justification": {"reason": "GOOGLE_INITIATED_SERVICE"}}})
    assert use_of(log).justification == "GOOGLE_INITIATED_SERVICE"
    assert use_of(log_of(reason="CUSTOMER_INITIATED_ACCESS")).justification == "CUSTOMER_INITIATED_ACCESS"
    for odd in ({"entries": "x"}, {"entries": {"key_access_justification": [1]}}, {"other": None}):
        log = log_of()
        log.metadata.update(odd)
        assert use_of(log).justification is None


@pytest.mark.parametrize(
    ("email", "subject", "says"),
    [
        ("app@vendor.iam.gserviceaccount.com", "", "serviceAccount:app@vendor.iam.gserviceaccount.com"),
        ("service-1@compute-system.iam.gserviceaccount.com", "", None),
        ("eve@acme.example", "", "user:eve@acme.example"),
        ("eve@acme.example", "user:eve@acme.example", "user:eve@acme.example"),
        ("", "principal://iam.googleapis.com/x/subject/y", "principal://iam.googleapis.com/x/subject/y"),
        ("", "", "not stated"),
    ],
)
def test_principals_are_written_as_policies_write_them(email: str, subject: str, says: str | None) -> None:
    who = AuthenticationInfo(principal_email=email, principal_subject=subject)
    assert member(who) == (says or f"serviceAccount:{email}")


@pytest.mark.parametrize(
    ("code", "name"), [(0, None), (7, "PERMISSION_DENIED"), (9, "FAILED_PRECONDITION"), (99, "CODE_99")]
)
def test_outcomes_have_names(code: int, name: str | None) -> None:
    log = log_of()
    log.status.code = code
    assert use_of(log).error == name


@given(st.binary(max_size=500))
def test_no_payload_breaks_the_reader(value: bytes) -> None:
    try:
        log = decoded("type.googleapis.com/google.cloud.audit.AuditLog", value)
    except ProbeError:
        return
    assert len(use_of(log).operation) <= 501


def test_another_payload_is_no_audit_entry() -> None:
    with pytest.raises(ProbeError):
        decoded("type.googleapis.com/google.protobuf.Empty", b"")


def test_a_policy_larger_than_iam_allows_is_malformed() -> None:
    read_policy(Policy(bindings=[Binding(role="r", members=["user:a@b.c"] * 5_000)]))
    for large in (
        Policy(bindings=[Binding(role="r", members=["user:a@b.c"] * 5_001)]),
        Policy(bindings=[Binding(role="r")] * 1_501),
        Policy(audit_configs=[AuditConfig(service="s")] * 1_501),
    ):
        with pytest.raises(ProbeError):
            read_policy(large)


def test_unknown_kinds_of_access_switch_no_log_on() -> None:
    config = AuditConfig(service="allServices", audit_log_configs=[AuditLogConfig(log_type=9)])  # type: ignore[arg-type]
    assert [each.kind for each in read_policy(Policy(audit_configs=[config])).audit] == ["9"]
