"""Cloud KMS with one's own credentials, in one key ring, on keys of this run alone: each carries a label from birth.

Key rings and keys cannot be taken away again, so that one ring named `keycheck-live` serves all runs; of a key all
versions are destroyed, and its policy is emptied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import google.auth
import grpc
from gcp_plain import Bearer, unfolded
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.protobuf.message import Message
from live_journal import Journal, Stop
from live_normal import Plain, Symbols, answered, words
from live_session import CaseError, Limits, NotOursError, Seen, Session, Within
from recording import Recording

LABEL: Final = "keycheck-live"
RING: Final = "keycheck-live"
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
WAITING_SECONDS: Final = 86_400
"""Of a version between the order to destroy it and its end: the shortest that Cloud KMS takes."""
_GONE: Final = ("DESTROY_SCHEDULED", "DESTROYED", "IMPORT_FAILED", "GENERATION_FAILED", "PENDING_EXTERNAL_DESTRUCTION")
_READS: Final = words(
    "GetCryptoKey GetCryptoKeyVersion ListCryptoKeys ListCryptoKeyVersions GetImportJob GetIamPolicy "
    "TestIamPermissions GetKeyRing ListLogEntries"
)
_USES: Final = words(
    "Encrypt Decrypt CreateCryptoKeyVersion UpdateCryptoKeyPrimaryVersion UpdateCryptoKeyVersion "
    "DestroyCryptoKeyVersion RestoreCryptoKeyVersion ImportCryptoKeyVersion SetIamPolicy"
)
_CREATES: Final = words("CreateCryptoKey CreateImportJob")
_NAMES: Final = words("name import_job parent resource members expression title role import_failure_reason permissions")
_PAGES: Final = 100
_UNCERTAIN: Final = words("UNAVAILABLE DEADLINE_EXCEEDED INTERNAL UNKNOWN CANCELLED ABORTED")


class Actor(NamedTuple):
    """Credentials, and whom IAM knows them as."""

    credentials: Credentials
    member: str


class GcpSession(Session):
    """One project and location; `main` owns the keys, `subject` (where given) has nothing but what a case binds."""

    def __init__(
        self,
        main: Actor,
        subject: Actor | None,
        project: str,
        locations: Sequence[str],
        plaintext: str | None,
        run: str,
        journal: Journal,
        recording: Recording,
        symbols: Symbols,
        stop: Stop,
        limits: Limits,
    ) -> None:
        super().__init__(recording, symbols, stop, limits)
        self.project = project
        self.location = locations[0]
        self.locations = tuple(locations)
        self.run = run
        self.subject = subject
        self._plaintext = plaintext
        self._journal = journal
        self._kms = {name: self._kms_client(actor) for name, actor in (("main", main), ("subject", subject)) if actor}
        self._logging = self._logging_client(main)
        self._ours: list[str] = []
        self._made = 0
        self._unsure = False
        symbols.fixed(project, "<project>")
        symbols.fixed(run, "<run>")
        symbols.public(self.location, "<location>")
        for actor in (main, subject):
            if actor is not None and actor.member:
                symbols.fixed(actor.member.partition(":")[2], "<subject>" if actor is subject else "<caller>")

    def cloud(self) -> str:
        """`gcp` only where the calls go to Google over TLS."""
        host = self._kms["main"].api_endpoint
        return "gcp" if self._plaintext is None and host.endswith(".googleapis.com") else "fake"

    def ring(self, location: str | None = None) -> str:
        return f"projects/{self.project}/locations/{location or self.location}/keyRings/{RING}"

    def prepare(self) -> None:
        """The ring of every location that is needed. Raise CaseError where there is none and none can be made."""
        for location in self.locations:
            if self._sent("main", "GetKeyRing", {"name": self.ring(location)}).ok:
                continue
            self._journal.write("ring", run=self.run, location=location)
            parent = self.ring(location).rsplit("/keyRings/", 1)[0]
            seen = self._sent("main", "CreateKeyRing", {"parent": parent, "key_ring_id": RING})
            if not seen.ok and seen.code != "ALREADY_EXISTS":
                raise CaseError(f"the key ring {RING} in {location} was refused with {seen.code}")

    def perform(self, operation: str, request: Mapping[str, object]) -> Seen:
        sent = dict(request)
        actor = str(sent.pop("As", "main"))
        if operation in _CREATES:
            return self._create(operation, sent)
        if operation not in _READS and not (operation in _USES and self._is_ours(sent)):
            raise NotOursError(f"{operation} was asked for something that this run did not create")
        return self._sent(actor, operation, sent)

    def _is_ours(self, request: Mapping[str, object]) -> bool:
        version = request.get("crypto_key_version")
        inner = version.get("name") if isinstance(version, Mapping) else version
        named = [each for each in (request.get("name"), request.get("parent"), request.get("resource"), inner) if each]
        return bool(named) and all(
            isinstance(each, str) and any(each == key or each.startswith(f"{key}/") for key in self._ours)
            for each in named
        )

    def _create(self, operation: str, request: dict[str, object]) -> Seen:
        parent = request["parent"]
        if parent not in [self.ring(location) for location in self.locations]:
            raise NotOursError(f"{operation} was asked for outside the key ring {RING}")
        if operation == "CreateCryptoKey":
            key = request["crypto_key"]
            if not isinstance(key, Mapping):
                raise NotOursError("crypto_key is a mapping")
            request["crypto_key"] = {
                **key,
                "labels": {LABEL: self.run},
                "destroy_scheduled_duration": {"seconds": WAITING_SECONDS},
            }
        with self.stop.held():
            self._journal.write("create", run=self.run, operation=operation, parent=str(parent))
            seen = self._sent("main", operation, request)
            if seen.ok:
                name = str(seen.answer["name"])
                self._journal.write("created", run=self.run, name=name)
                if operation == "CreateCryptoKey":
                    self._ours.append(name)
            elif operation == "CreateCryptoKey":
                # a refusal is certain only where Google itself gave it
                self._unsure |= seen.code in _UNCERTAIN or seen.status == "client"
                self._journal.write("refused", run=self.run, code=seen.code)
        return seen

    def create_key(
        self, step: str = "create", *, level: str = "SOFTWARE", location: str | None = None, **more: object
    ) -> str:
        """A symmetric key; gives its name. Raise CaseError where it was refused."""
        return str(self.must(step, "CreateCryptoKey", **self.key_request(level, location, **more))["name"])

    def key_request(self, level: str = "SOFTWARE", location: str | None = None, **more: object) -> dict[str, object]:
        """What CreateCryptoKey is asked; the id is new every time."""
        template = {"protection_level": level, "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION"}
        return {
            "parent": self.ring(location),
            "crypto_key_id": self.fresh_id("key"),
            "crypto_key": {"purpose": "ENCRYPT_DECRYPT", "version_template": template},
            **more,
        }

    def fresh_id(self, kind: str) -> str:
        """An id that no run used before."""
        self._made += 1
        value = f"{kind}-{self.run}-{self._made}"
        self.symbols.numbered(kind, value)
        return value

    def log_entries(self, step: str, wanted: str, until: Within) -> Seen:
        """Poll the project's audit log with a filter."""
        return self.poll(
            step,
            "ListLogEntries",
            until,
            resource_names=[f"projects/{self.project}"],
            filter=wanted,
            order_by="timestamp desc",
            page_size=20,
        )

    def _sent(self, actor: str, operation: str, request: Mapping[str, object]) -> Seen:
        method = "".join(f"_{char.lower()}" if char.isupper() else char for char in operation).lstrip("_")
        client = self._logging if operation == "ListLogEntries" else self._kms[actor]
        try:
            answer = getattr(client, method)(request=dict(request), retry=None, timeout=30)
            if operation.startswith("List"):
                answer = next(iter(answer.pages))  # the first page: what a case makes fits into one
        except GoogleAPICallError as error:
            status = error.grpc_status_code
            reason = error.reason if isinstance(error.reason, str) else ""
            code = status.name if status is not None else type(error).__name__
            return Seen(code=code, message=str(error.message), status=reason)
        except (GoogleAuthError, grpc.RpcError) as error:
            return Seen(code=type(error).__name__, status="client")
        plain = unfolded(answer if isinstance(answer, Message) else type(answer).pb(answer))
        if operation == "ListLogEntries":
            return Seen(plain, {"entries": "<list>"})
        return Seen(plain, answered(plain, self.symbols, self._rule))

    def _rule(self, name: str, text: str) -> str:
        if name in _NAMES:
            return self.symbols.substituted(text)
        if name == LABEL:
            return "<run>"
        return "<text>"

    def shape(self, entry: Mapping[str, object]) -> Plain:
        """A log entry: its fields, and the values of those that hold the service's own words."""
        return answered(entry, self.symbols, self._entry_rule)

    def _entry_rule(self, name: str, text: str) -> str:
        if name in _ENTRY_WORDS:
            return self.symbols.substituted(text)
        return "<text>"

    def clean(self) -> Sequence[str]:
        left = [each for key in self._ours for each in self._remove(key)]
        if self._unsure:
            left.extend(self.clean_labelled(self.run)[1])
        return left

    def clean_labelled(self, run: str | None) -> tuple[int, Sequence[str]]:
        """Remove what is left of every key with the label (of one run) in the ring: how many keys, and what is left."""
        done, left = 0, []
        for location in self.locations:
            keys: list[str] = []
            token = ""
            for _ in range(_PAGES):
                request = {"parent": self.ring(location), "page_size": 100, "page_token": token}
                seen = self._sent("main", "ListCryptoKeys", request)
                if seen.code == "NOT_FOUND":
                    break
                if not seen.ok:
                    left.append(f"the keys of {self.ring(location)} could not be listed ({seen.code})")
                    break
                keys.extend(str(key["name"]) for key in mappings(seen.answer, "crypto_keys") if _labelled(key, run))
                token = str(seen.answer.get("next_page_token", ""))
                if not token:
                    break
            for name in keys:
                problems = self._remove(name)
                left.extend(problems)
                done += not problems
        return done, left

    def _remove(self, key: str) -> Sequence[str]:
        left: list[str] = []
        reading = {"resource": key, "options": {"requested_policy_version": 3}}
        policy = self._sent("main", "GetIamPolicy", reading)
        if policy.answer.get("bindings"):
            empty = {"resource": key, "policy": {"version": 3, "etag": policy.answer.get("etag", b"")}}
            self._sent("main", "SetIamPolicy", empty)
            policy = self._sent("main", "GetIamPolicy", reading)
        if not policy.ok or policy.answer.get("bindings"):
            left.append(f"the policy of {key} ({policy.code or 'not empty'}): gcloud kms keys get-iam-policy {key}")
        try:
            for version in self._versions(key):
                if str(version.get("state")) not in _GONE:
                    self._sent("main", "DestroyCryptoKeyVersion", {"name": version["name"]})
            left.extend(
                f"{version['name']} is {version.get('state')}: gcloud kms keys versions destroy {version['name']}"
                for version in self._versions(key)
                if str(version.get("state")) not in _GONE
            )
        except CaseError as error:
            left.append(str(error))
        if not left:
            self._journal.write("removed", run=self.run, name=key)
        return left

    def _versions(self, key: str) -> Sequence[Mapping[str, object]]:
        """All of them. Raise CaseError where not all could be listed: an empty list proves nothing."""
        seen = self._sent("main", "ListCryptoKeyVersions", {"parent": key, "page_size": 1000})
        found = mappings(seen.answer, "crypto_key_versions")
        if not seen.ok or len(found) != seen.answer.get("total_size", 0):
            raise CaseError(f"not all versions of {key} could be listed ({seen.code or len(found)})")
        return found

    def _kms_client(self, actor: Actor) -> KeyManagementServiceClient:
        if self._plaintext is None:
            return KeyManagementServiceClient(credentials=actor.credentials)
        return KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=self._channel(actor)))

    def _logging_client(self, actor: Actor) -> LoggingServiceV2Client:
        if self._plaintext is None:
            return LoggingServiceV2Client(credentials=actor.credentials)
        return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=self._channel(actor)))

    def _channel(self, actor: Actor) -> grpc.Channel:
        return grpc.intercept_channel(grpc.insecure_channel(self._plaintext or ""), Bearer(actor.credentials))


_ENTRY_WORDS: Final = words(
    "service_name method_name resource_name permission type log_name severity message "
    "project_id location key_ring_id crypto_key_id crypto_key_version_id resource"
)


def mappings(answer: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]]:
    """The members of a list in an answer."""
    value = answer.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _labelled(key: Mapping[str, object], run: str | None) -> bool:
    labels = key.get("labels")
    return isinstance(labels, Mapping) and LABEL in labels and run in (None, labels[LABEL])


def actor_of(path: str | None) -> tuple[Actor, str | None]:
    """Credentials from a file, or as the SDK finds them; and the project that they name."""
    if path is None:
        credentials, project = google.auth.default(scopes=[SCOPE])
    else:
        credentials, project = google.auth.load_credentials_from_file(path, scopes=[SCOPE])  # type: ignore[no-untyped-call]
    email = getattr(credentials, "service_account_email", "")
    own = getattr(credentials, "project_id", None)
    return Actor(credentials, f"serviceAccount:{email}" if email else ""), own or project
