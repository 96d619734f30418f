"""Cloud Logging of the lab: what the calls leave in the audit logs, and who may read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from google.cloud.logging_v2 import types

from keycheck.lab.gcp.calls import CALLER_HEADER, Call, Handler
from keycheck.lab.gcp.directory import Directory
from keycheck.lab.gcp.entries import ACTIVITY, DATA_ACCESS, Entry
from keycheck.lab.gcp.errors import ApiError, denied, invalid
from keycheck.lab.gcp.iam import KMS_SERVICE, Iam
from keycheck.lab.gcp.logfilter import excludes, matches, parsed
from keycheck.lab.gcp.sinks import Sinks
from keycheck.lab.log_trouble import SHORT_PAGE, LogTrouble
from keycheck.model.types import Clock

_DOMAIN: Final = "logging.googleapis.com"
_KMS: Final = "/google.cloud.kms.v1."
_MOST_ENTRIES: Final = 200_000
_ADMIN: Final = frozenset(
    {
        "CreateKeyRing",
        "CreateCryptoKey",
        "CreateCryptoKeyVersion",
        "CreateImportJob",
        "ImportCryptoKeyVersion",
        "UpdateCryptoKey",
        "UpdateCryptoKeyPrimaryVersion",
        "UpdateCryptoKeyVersion",
        "DestroyCryptoKeyVersion",
        "RestoreCryptoKeyVersion",
        "SetIamPolicy",
    }
)
_DATA: Final = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "RawEncrypt",
        "RawDecrypt",
        "AsymmetricSign",
        "AsymmetricDecrypt",
        "MacSign",
        "MacVerify",
        "GetPublicKey",
        "GenerateRandomBytes",
    }
)


class Logs:
    """Keeps entries in memory; the oldest go first."""

    def __init__(self, directory: Directory, iam: Iam, clock: Clock) -> None:
        self._directory = directory
        self._iam = iam
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=_MOST_ENTRIES)
        self.sinks = Sinks(directory)
        self.trouble = LogTrouble()
        """Of the Logging API alone: what sinks export has its own."""

    def handlers(self) -> Mapping[str, Handler]:
        own = {"/google.logging.v2.LoggingServiceV2/ListLogEntries": self.list_entries}
        return {**own, **self.sinks.handlers()}

    def seed(self, entry: Entry) -> None:
        """Add an entry as if the call had been."""
        self._entries.append(entry)

    def entries(self) -> tuple[Entry, ...]:
        """All, readable yet or not, for tests."""
        return tuple(self._entries)

    def finish(self, call: Call, error: ApiError | None) -> None:
        """Log a call that is over, if it is of a kind that is logged."""
        log = self._log_of(call)
        if log is None or not call.resource.startswith(("projects/", "folders/", "organizations/")):
            return
        kms = call.path.startswith(_KMS) or call.path.startswith("/google.iam.v1.")
        self._entries.append(
            Entry(
                at=call.now,
                visible=call.now + call.faults.log_lag,
                method=call.method,
                resource=call.resource,
                principal=call.principal,
                log=log,
                service=KMS_SERVICE if kms else "cloudresourcemanager.googleapis.com",
                caller_ip=call.metadata.get(CALLER_HEADER, call.peer),
                user_agent=call.user_agent,
                checked=tuple(call.checked),
                code=0 if error is None else error.number,
                message="" if error is None else error.message,
                reason=call.reason,
            )
        )

    def list_entries(self, call: Call, request: types.ListLogEntriesRequest) -> types.ListLogEntriesResponse:
        containers = [self._container(name) for name in request.resource_names]
        if not containers or len(containers) > 100:
            raise invalid("resource_names must name 1 to 100 resources.")
        terms = parsed(request.filter)
        if request.order_by not in ("", "timestamp asc", "timestamp desc"):
            raise invalid("order_by must be timestamp asc or timestamp desc.")
        shown: list[tuple[int, Entry]] = []
        for container in dict.fromkeys(containers):
            data_log = f"{container}/logs/cloudaudit.googleapis.com%2F{DATA_ACCESS}"
            private = not excludes(terms, data_log) and call.may("logging.privateLogEntries.list", container)
            only_private = excludes(terms, data_log.replace(DATA_ACCESS, ACTIVITY)) and private
            if not only_private and not call.may("logging.logEntries.list", container):
                raise denied("logging.logEntries.list", container, _DOMAIN)
            shown.extend(
                (number, entry)
                for number, entry in enumerate(self._entries)
                if self._within(entry, container)
                and (private or entry.log != DATA_ACCESS)
                and (entry.visible is None or entry.visible <= call.now)
                and self.trouble.there(entry.at, call.now)
                and entry.method not in self.trouble.excluded
                and self.sinks.keeps(entry)
                and matches(terms, entry.fields(), entry.at)
            )
        shown.sort(key=lambda each: (each[1].at, each[0]), reverse=request.order_by == "timestamp desc")
        shown = self.trouble.ordered(shown)
        size = request.page_size or 50
        if self.trouble.truncated:
            if request.page_token:
                raise invalid("The page_token is expired.")
            size = min(size, SHORT_PAGE)
        page, after = call.page(len(shown), size, request.page_token)
        return types.ListLogEntriesResponse(
            entries=[shown[index][1].shown(shown[index][0]) for index in page], next_page_token=after
        )

    def _within(self, entry: Entry, container: str) -> bool:
        # entries stand in the log of their own project; a folder's log holds only what the folder wrote itself
        node = self._directory.node(entry.container)
        return container == (entry.container if node is None else node.name)

    def _container(self, name: str) -> str:
        node = self._directory.node(name)
        return name if node is None else node.name

    def _log_of(self, call: Call) -> str | None:
        method = call.method
        if method in _ADMIN:
            return ACTIVITY
        if not (call.path.startswith(_KMS) or call.path.startswith("/google.iam.v1.")):
            return None
        if method == "TestIamPermissions":
            return None
        kind = "DATA_READ" if method in _DATA else "ADMIN_READ"
        return DATA_ACCESS if self._switched_on(call, kind) else None

    def _switched_on(self, call: Call, kind: str) -> bool:
        """The union of all configurations; whoever is exempted in one of them is exempted."""
        on = False
        for config in self._iam.audits(call.resource):
            if config.service not in (KMS_SERVICE, "allServices"):
                continue
            for setting in config.settings:
                if setting.kind == kind:
                    if any(self._iam.is_member(member, call.principal) for member in setting.exempted):
                        return False
                    on = True
        return on
