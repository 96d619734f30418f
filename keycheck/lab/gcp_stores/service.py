"""The server: one loopback port for all of Google's JSON APIs that hold data, answered from a frozen plan."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from keycheck.lab.aws.wire import Answer, Request, Server
from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp.errors import ApiError
from keycheck.lab.gcp_stores import bigquery, compute, others, sql, storage
from keycheck.lab.gcp_stores.asked import Ask, Handler, RefusedError
from keycheck.lab.gcp_stores.plan import GcpPlan, KeyRef
from keycheck.model.types import Clock

ROUTES: Final[Mapping[str, Handler]] = {
    **storage.ROUTES,
    **bigquery.ROUTES,
    **sql.ROUTES,
    **compute.ROUTES,
    **others.ROUTES,
}
"""Path template -> handler. All are GET: nothing can be changed here."""
SERVICES: Final = (
    "aiplatform",
    "bigquery",
    "cloudresourcemanager",
    "compute",
    "orgpolicy",
    "sqladmin",
    "storage",
    "storagetransfer",
)
"""Names in `NAME.googleapis.com` that the port answers for."""
PERMISSIONS: Final = (
    "aiplatform.endpoints.list",
    "aiplatform.endpoints.predict",
    "bigquery.datasets.get",
    "bigquery.tables.get",
    "bigquery.tables.list",
    "cloudsql.backupRuns.list",
    "cloudsql.instances.get",
    "cloudsql.instances.list",
    "compute.disks.get",
    "compute.disks.list",
    "compute.images.get",
    "compute.images.list",
    "compute.snapshots.get",
    "compute.snapshots.list",
    "orgpolicy.policies.list",
    "orgpolicy.policy.get",
    "resourcemanager.projects.get",
    "storage.buckets.get",
    "storage.buckets.list",
    "storage.objects.get",
    "storage.objects.list",
    "storagetransfer.jobs.list",
)
"""All that any of it needs."""
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
        self._routes = tuple((_pattern(template), handler) for template, handler in ROUTES.items())
        self._server = Server(self._answer)

    @property
    def address(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self._server.port}"

    def start(self) -> Self:
        """Serve in the background."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        try:
            return Answer(200, json.dumps(self._handled(request)).encode(), _JSON)
        except RefusedError as refused:
            return Answer(refused.status, json.dumps(refused.told()).encode(), _JSON)

    def _handled(self, request: Request) -> Mapping[str, object]:
        parts = urlsplit(request.path)
        try:
            principal = self._cloud.principal(request.headers.get("authorization"))
        except ApiError as refused:
            raise RefusedError(401, refused.message) from None
        for pattern, handler in self._routes:
            if (found := pattern.fullmatch(parts.path)) is not None:
                if request.method != "GET":
                    raise RefusedError(405, "The lab's stores are only read.")
                named = {name: unquote(value) for name, value in found.groupdict().items()}
                query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50))
                return handler(self._ask(named, query, principal))
        raise RefusedError(501, f"The lab does not serve {parts.path[:100]}.")

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
            self._page_size,
        )


def _pattern(template: str) -> re.Pattern[str]:
    """`/v1/b/{bucket}` as a pattern; what is named ends with the part of the path."""
    pattern, end = "", 0
    for label in _LABEL.finditer(template):
        pattern += re.escape(template[end : label.start()]) + f"(?P<{label[1]}>[^/]+)"
        end = label.end()
    return re.compile(pattern + re.escape(template[end:]))
