"""Which operation a request asks for, by the service models that botocore brings along."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from keycheck.lab.aws.wire import Request

SERVED: Final[Mapping[str, str]] = {
    "account": "account",
    "backup": "backup",
    "bedrock": "bedrock",
    "dynamodb": "dynamodb",
    "ec2": "ec2",
    "ecr": "ecr",
    "elasticache": "elasticache",
    "elasticfilesystem": "efs",
    "es": "opensearch",
    "fsx": "fsx",
    "glacier": "glacier",
    "kinesis": "kinesis",
    "logs": "logs",
    "organizations": "organizations",
    "rds": "rds",
    "redshift": "redshift",
    "s3": "s3",
    "s3express": "s3",
    "sqs": "sqs",
}
"""Service in the credential scope of a signature -> the SDK's name of its model."""
_LABEL: Final = re.compile(r"\{([A-Za-z0-9_-]+)(\+?)\}")
_FIELDS: Final = 1000
_EXPRESS: Final = frozenset({"ListDirectoryBuckets"})
"""What of S3 is asked of a service of its own, by the same path as something else."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of a REST protocol."""

    name: str
    method: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    query: Mapping[str, str]
    """What must stand in the query; an empty value: anything."""
    weight: tuple[int, int]
    """The more a route demands, the earlier it is tried."""


@dataclass(frozen=True, slots=True)
class Called:
    """An operation, with what the request says in its form, query and path."""

    service: str
    operation: OperationModel
    labels: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Service:
    model: ServiceModel
    routes: tuple[Route, ...]


class Catalogue:
    """The models, each read when it is first asked for. Safe for threads."""

    def __init__(self) -> None:
        self._loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
        self._known: dict[str, _Service] = {}
        self._lock = threading.Lock()

    def model(self, service: str) -> ServiceModel:
        """Of a service by the SDK's name."""
        return self._service(service).model

    def called(self, signed_for: str, request: Request) -> Called | None:
        """The operation of a request signed for this service, one of `SERVED`; None where it has none like it."""
        service = SERVED[signed_for]
        known = self._service(service)
        parts = urlsplit(request.path)
        query: dict[str, tuple[str, ...]] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=_FIELDS):
            query[name] = (*query.get(name, ()), value)
        match known.model.protocol:
            case "json":
                prefix, _, name = request.headers.get("x-amz-target", "").rpartition(".")
                if prefix != known.model.metadata.get("targetPrefix"):
                    return None
                return self._named(service, known.model, name, {}, query, {})
            case "query" | "ec2":
                form = dict(_form(request.body))
                return self._named(service, known.model, form.get("Action", ""), {}, query, form)
            case _:
                for route in known.routes:
                    if (signed_for == "s3express") != (route.name in _EXPRESS):
                        continue
                    if route.method != request.method or any(
                        name not in query or (value and value not in query[name]) for name, value in route.query.items()
                    ):
                        continue
                    if (found := route.path.fullmatch(parts.path)) is not None:
                        labels = {
                            label: unquote(value) for label, value in zip(route.labels, found.groups(), strict=True)
                        }
                        return self._named(service, known.model, route.name, labels, query, {})
                return None

    def _named(
        self,
        service: str,
        model: ServiceModel,
        name: str,
        labels: Mapping[str, str],
        query: Mapping[str, tuple[str, ...]],
        form: Mapping[str, str],
    ) -> Called | None:
        if name not in model.operation_names:
            return None
        return Called(service, model.operation_model(name), labels, query, form)

    def _service(self, name: str) -> _Service:
        with self._lock:
            if name not in self._known:
                model = ServiceModel(self._loader.load_service_model(name, "service-2"), name)
                routes = _routes(model) if model.protocol.startswith("rest-") else ()
                self._known[name] = _Service(model, routes)
            return self._known[name]


def _routes(model: ServiceModel) -> tuple[Route, ...]:
    operations = [model.operation_model(name) for name in model.operation_names]
    # what is deprecated has the path of what came after it
    routes = [_route(each.name, each) for each in operations if not each.deprecated]
    return tuple(sorted(routes, key=lambda route: route.weight, reverse=True))


def _route(name: str, operation: OperationModel) -> Route:
    path, _, query = str(operation.http["requestUri"]).partition("?")
    path = path.rstrip("/")
    pattern, labels, end = "", [], 0
    for label in _LABEL.finditer(path):
        pattern += re.escape(path[end : label.start()]) + ("(.+?)" if label[2] else "([^/]+)")
        labels.append(label[1])
        end = label.end()
    # a label that takes everything takes a slash at the end, too
    pattern += re.escape(path[end:]) + ("" if path.endswith("+}") else "/?")
    wanted = dict(parse_qsl(query, keep_blank_values=True))
    shape = operation.input_shape
    if shape is not None:
        for member in (shape.members[each] for each in shape.required_members):
            if member.serialization.get("location") == "querystring":
                wanted.setdefault(str(member.serialization["name"]), "")
    literal = len(_LABEL.sub("", path))
    return Route(
        name, str(operation.http["method"]), re.compile(pattern), tuple(labels), wanted, (len(wanted), literal)
    )


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS)
    except (UnicodeDecodeError, ValueError):
        return []
