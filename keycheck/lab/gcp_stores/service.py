"""The servers: a loopback port for each of Google's JSON APIs that hold data, answered from a frozen plan."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from keycheck.lab.aws.wire import Answer, Request, Server
from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp.errors import ApiError
from keycheck.lab.gcp_stores import bigquery, compute, empty, keys, others, sql, storage
from keycheck.lab.gcp_stores.asked import Ask, Handler, RefusedError, disabled
from keycheck.lab.gcp_stores.plan import GcpPlan, KeyRef
from keycheck.model.types import Clock

ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "bigquery": bigquery.ROUTES,
    "cloudkms": {},
    "compute": compute.ROUTES,
    "sqladmin": sql.ROUTES,
    "storage": storage.ROUTES,
    **empty.ROUTES,
    **others.ROUTES,
}
"""Service, as in `NAME.googleapis.com`, to path template to handler of a GET: nothing can be changed here. Cloud KMS is
the lab's own."""
SERVICES: Final = tuple(sorted(ROUTES))
"""All that answer, each at a port of its own: their paths are alike."""
_LABEL: Final = re.compile(r"\{(\w+)\}")
_JSON: Final = "application/json; charset=UTF-8"


class GcpStores:
    """Runs between `start` and `close`. Tokens, IAM and projects are `cloud`'s; `key_of` gives the resource name of a
    key that the plan names. `page_size` makes pages small, so that lists have several."""

    def __init__(
        self,
        plan: GcpPlan,
        *,
        cloud: GcpCloud,
        clock: Clock,
        key_of: Callable[[KeyRef], str],
        page_size: int | None = None,
    ) -> None:
        self.plan = plan
        self.asked: list[str] = []
        """Paths, in the order in which they were asked for."""
        self._cloud = cloud
        self._clock = clock
        self._key_of = key_of
        self._page_size = page_size
        self._routes = {
            service: tuple((_pattern(template), handler) for template, handler in routes.items())
            for service, routes in ROUTES.items()
        }
        self._posts = tuple((_pattern(template), handler) for template, handler in bigquery.POSTS.items())
        self._servers = {service: Server(partial(self._answer, service)) for service in SERVICES}

    def address(self, service: str) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self._servers[service].port}"

    def start(self) -> Self:
        """Serve in the background."""
        for server in self._servers.values():
            server.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        for server in self._servers.values():
            server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, service: str, request: Request) -> Answer:
        self.asked.append(f"{service} {request.path}")
        try:
            return Answer(200, json.dumps(self._handled(service, request)).encode(), _JSON)
        except RefusedError as refused:
            return Answer(refused.status, json.dumps(refused.told()).encode(), _JSON)

    def _handled(self, service: str, request: Request) -> Mapping[str, object]:
        parts = urlsplit(request.path)
        try:
            principal = self._cloud.principal(request.headers.get("authorization"))
        except ApiError as refused:
            raise RefusedError(401, refused.message) from None
        if service in self.plan.disabled:
            raise disabled(service)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50))
        if service == "cloudkms" and request.method == "GET":
            told = keys.answer(self._cloud, unquote(parts.path.removeprefix("/v1/")), request.headers, query)
            if told is not None:
                return told
        if request.method not in ("GET", "POST"):
            raise RefusedError(405, "The lab's stores are only read.")
        for pattern, handler in self._routes[service] if request.method == "GET" else self._posts:
            if (found := pattern.fullmatch(parts.path)) is not None:
                named = {name: unquote(value) for name, value in found.groupdict().items()}
                if "project" in named:
                    named["project"] = self._id_of(named["project"])
                return handler(replace(self._ask(named, query, principal), body=_object(request.body)))
        raise RefusedError(501, f"The lab does not serve {service} {parts.path[:100]}.")

    def _id_of(self, project: str) -> str:
        """Of a project that may be called by its number."""
        node = self._cloud.directory.node(f"projects/{project}")
        return project if node is None else node.name.removeprefix("projects/")

    def _ask(self, named: Mapping[str, str], query: Mapping[str, str], principal: str) -> Ask:
        iam, directory = self._cloud.iam, self._cloud.directory

        def permitted(permission: str, project: str) -> bool:
            return iam.allows(principal, permission, f"projects/{project}")

        def number_of(project: str) -> str:
            node = directory.node(f"projects/{project}")
            return "" if node is None else node.number

        return Ask(
            named,
            query,
            principal,
            self.plan,
            self._clock(),
            self._key_of,
            permitted,
            number_of,
            self._id_of,
            self._page_size,
        )


def _object(body: bytes) -> Mapping[str, object]:
    try:
        found: object = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RefusedError(400, "Invalid JSON payload received.")
    return found


def _pattern(template: str) -> re.Pattern[str]:
    """`/v1/b/{bucket}` as a pattern; what is named ends with the part of the path."""
    pattern, end = "", 0
    for label in _LABEL.finditer(template):
        pattern += re.escape(template[end : label.start()]) + f"(?P<{label[1]}>[^/]+)"
        end = label.end()
    return re.compile(pattern + re.escape(template[end:]))
