"""The REST door of the lab's Google Cloud: Cloud Scheduler, and the one call of Cloud KMS that a schedule makes.

Paths and errors: API references of both (`PATCH /v1/{cryptoKeyVersion.name=…}?updateMask=state`); errors as in
https://cloud.google.com/apis/design/errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import grpc
from google.cloud import kms_v1
from google.protobuf.json_format import ParseError

from keycheck.lab.aws.wire import Answer, Request, Server
from keycheck.lab.gcp.calls import Call
from keycheck.lab.gcp.errors import ApiError, invalid, unimplemented
from keycheck.lab.gcp.front import Front
from keycheck.lab.gcp.jobs import Json
from keycheck.lab.gcp.scheduler import METHODS, CloudScheduler

UPDATE: Final = "/google.cloud.kms.v1.KeyManagementService/UpdateCryptoKeyVersion"
_PARENT: Final = r"projects/[^/:]{1,63}/locations/[^/:]{1,40}"
_JOBS: Final = re.compile(rf"({_PARENT})/jobs")
_JOB: Final = re.compile(rf"({_PARENT}/jobs/[^/:]{{1,500}})(:run)?")
_VERSION: Final = re.compile(rf"{_PARENT}/keyRings/[^/:]{{1,63}}/cryptoKeys/[^/:]{{1,63}}/cryptoKeyVersions/\d{{1,12}}")
_STATUS: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class Rest:
    """Serves between `start` and `close`, on loopback and without TLS."""

    def __init__(self, front: Front, scheduler: CloudScheduler) -> None:
        self._front = front
        self._scheduler = scheduler
        self._server: Server | None = None

    @property
    def address(self) -> str:
        """`127.0.0.1:port`; empty while it is not running."""
        return "" if self._server is None else f"127.0.0.1:{self._server.port}"

    def start(self) -> None:
        """Serve in the background."""
        self._server = Server(self._answer).start()

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _answer(self, request: Request) -> Answer:
        try:
            path, handle = self._route(request)
            found = self._front.rest(path, request.headers, handle)
            return Answer(200, json.dumps(found).encode(), "application/json; charset=UTF-8")
        except ApiError as error:
            status = _STATUS.get(error.code, 500)
            told = {"error": {"code": status, "message": error.message, "status": error.code.name}}
            return Answer(status, json.dumps(told).encode(), "application/json; charset=UTF-8")

    def _route(self, request: Request) -> tuple[str, Callable[[Call], object]]:
        parts = urlsplit(request.path)
        name = unquote(parts.path.removeprefix("/v1/"))
        jobs, scheduler = self._scheduler, METHODS
        if (listed := _JOBS.fullmatch(name)) is not None:
            match request.method:
                case "POST":
                    return f"{scheduler}CreateJob", lambda call: jobs.create(call, listed[1], _parsed(request.body))
                case "GET":
                    return f"{scheduler}ListJobs", lambda call: jobs.list(call, listed[1])
        if (named := _JOB.fullmatch(name)) is not None:
            match request.method, named[2]:
                case "POST", ":run":
                    return f"{scheduler}RunJob", lambda call: jobs.run(call, named[1])
                case "GET", None:
                    return f"{scheduler}GetJob", lambda call: jobs.get(call, named[1])
                case "DELETE", None:
                    return f"{scheduler}DeleteJob", lambda call: jobs.delete(call, named[1])
                case "PATCH", None:
                    return f"{scheduler}UpdateJob", lambda call: jobs.update(call, named[1], _parsed(request.body))
        if _VERSION.fullmatch(name) is not None and request.method == "PATCH":
            return UPDATE, lambda call: self._update(call, name, request.body, parts.query)
        raise unimplemented(f"{request.method} {parts.path[:100]}")

    def _update(self, call: Call, name: str, body: bytes, query: str) -> object:
        paths = parse_qs(query, max_num_fields=10).get("updateMask", [""])[0].split(",")
        try:
            version = kms_v1.CryptoKeyVersion.from_json(json.dumps({**_parsed(body), "name": name}))
        except ParseError:
            raise invalid("Invalid JSON payload received.") from None
        asked = kms_v1.UpdateCryptoKeyVersionRequest(crypto_key_version=version, update_mask={"paths": paths})
        found = self._front.handler(UPDATE)(call, asked)
        if not isinstance(found, kms_v1.CryptoKeyVersion):
            raise unimplemented(UPDATE)
        shown: object = json.loads(kms_v1.CryptoKeyVersion.to_json(found, use_integers_for_enums=False))
        return shown


def _parsed(body: bytes) -> dict[str, Json]:
    try:
        found: object = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise invalid("Invalid JSON payload received.")
    return found
