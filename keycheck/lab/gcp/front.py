"""The gRPC door: authenticates, finds the service's handler, and turns refusals into statuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import RLock
from typing import Final

import grpc
import proto  # type: ignore[import-untyped]
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

from keycheck.lab.errors import LabError
from keycheck.lab.gcp.calls import Call, Finish, Handler
from keycheck.lab.gcp.errors import ApiError, invalid, unimplemented
from keycheck.lab.gcp.faults import Faults
from keycheck.lab.gcp.iam import Iam
from keycheck.lab.gcp.routes import Decode, harvested
from keycheck.lab.gcp.tokens import Tokens
from keycheck.model.types import Clock

_HOST: Final = "127.0.0.1"
_WORKERS: Final = 8
_GARBAGE: Final = b"\xff\xff\xff\xff\x0flab"
_MOST_BYTES: Final = 4 * 1024 * 1024


class Front:
    """Serves all methods that the installed clients know; those without a handler answer UNIMPLEMENTED."""

    def __init__(
        self, handlers: Mapping[str, Handler], tokens: Tokens, iam: Iam, faults: Faults, clock: Clock, finish: Finish
    ) -> None:
        self._handlers = dict(handlers)
        self._tokens = tokens
        self._iam = iam
        self._faults = faults
        self._clock = clock
        self._finish = finish
        self._lock = RLock()
        self._server: grpc.Server | None = None

    def start(self) -> str:
        """Gives the address, `127.0.0.1:port`."""
        server = grpc.server(
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="lab-gcp"),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MOST_BYTES)],
        )
        services: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = {}
        routes = harvested()
        unknown = sorted(self._handlers.keys() - routes.keys())
        if unknown:
            raise LabError(
                f"the installed Google clients do not know {unknown[0]}",
                advice="install the versions that the lab needs",
            )
        for path, decode in routes.items():
            _, service, method = path.split("/")
            services.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(self._served(path, decode))
        for service, methods in services.items():
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        port = server.add_insecure_port(f"{_HOST}:0")
        server.start()
        self._server = server
        return f"{_HOST}:{port}"

    def close(self) -> None:
        if self._server is not None:
            self._server.stop(grace=0.2).wait(5)
            self._server = None

    def _served(self, path: str, decode: Decode) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        handler = self._handlers.get(path)

        def serve(data: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return self._answer(path, decode, handler, data, context)
            except ApiError as error:
                refusal = error
            context.abort_with_status(rpc_status.to_status(_status(refusal)))
            raise refusal  # never reached: abort raises

        return serve

    def _answer(
        self, path: str, decode: Decode, handler: Handler | None, data: bytes, context: grpc.ServicerContext
    ) -> bytes:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self._faults.before(path)
        principal = self._tokens.principal(metadata.get("authorization"))
        if handler is None:
            raise unimplemented(path)
        try:
            request = decode(data)
        except (DecodeError, ValueError):
            raise invalid("The request is malformed.") from None
        if self._faults.answers_garbage(path):
            return _GARBAGE
        peer = context.peer().removeprefix("ipv4:").rsplit(":", 1)[0]
        return _bytes(self._called(path, principal, metadata, peer, lambda call: handler(call, request)))

    def rest(self, path: str, headers: Mapping[str, str], handle: Callable[[Call], object]) -> object:
        """A call that came by REST, whose gRPC method is `path`: the same faults, tokens and log. Raises ApiError."""
        self._faults.before(path)
        principal = self._tokens.principal(headers.get("authorization"))
        return self._called(path, principal, headers, _HOST, handle)

    def handler(self, path: str) -> Handler:
        """Of a gRPC method that is served. Raises KeyError."""
        return self._handlers[path]

    def _called(
        self, path: str, principal: str, metadata: Mapping[str, str], peer: str, handle: Callable[[Call], object]
    ) -> object:
        with self._lock:
            call = Call(path, principal, self._clock(), peer, metadata, self._iam, self._faults)
            try:
                answer = handle(call)
            except ApiError as error:
                self._finish(call, error)
                raise
            self._finish(call, None)
        return answer


def _bytes(message: object) -> bytes:
    if isinstance(message, Message):
        return message.SerializeToString()
    if isinstance(message, proto.Message):
        data: bytes = type(message).serialize(message)
        return data
    raise TypeError(f"{type(message).__name__} is no message")


def _status(error: ApiError) -> status_pb2.Status:
    status = status_pb2.Status(code=error.number, message=error.message)
    for detail in error.details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
