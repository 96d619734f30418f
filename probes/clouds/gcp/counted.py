"""A channel that counts what is in an answer before it is parsed: an empty message takes two bytes on the wire and two
hundred in memory. Imported only where a channel is opened.

Only an answer's own fields are counted, not what is nested deeper: there the bound on bytes must do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import grpc
from google.protobuf.message import DecodeError

MAX_FIELDS: Final = 10_000
"""Fields of one answer; real ones have at most a thousand and some."""


def check_count(data: bytes) -> None:
    """Raises DecodeError for more than `MAX_FIELDS` fields (https://protobuf.dev/programming-guides/encoding/). What is
    no message is left to the parser."""
    at = 0
    for _ in range(MAX_FIELDS):
        if at >= len(data):
            return
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                size, at = _varint(data, at)
                at += size
            case 5:
                at += 4
            case _:
                return
    if at < len(data):
        raise DecodeError("more fields than any answer has")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    return 0, len(data)


class Counted(grpc.Channel):
    """Another channel, its answers counted."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def unary_unary(  # type: ignore[override]
        self,
        method: str,
        request_serializer: object = None,
        response_deserializer: Callable[[bytes], object] | None = None,
        *rest: object,
    ) -> object:
        """As the channel's own."""
        parse = None if response_deserializer is None else _counting(response_deserializer)
        call: Callable[..., object] = self._channel.unary_unary
        return call(method, request_serializer, parse, *rest)

    def subscribe(self, *given: object, **named: object) -> None:
        """As the channel's own."""
        call: Callable[..., None] = self._channel.subscribe
        call(*given, **named)

    def unsubscribe(self, *given: object) -> None:
        """As the channel's own."""
        call: Callable[..., None] = self._channel.unsubscribe
        call(*given)

    def unary_stream(self, *given: object, **named: object) -> object:  # type: ignore[override]
        """As the channel's own; no call of ours streams."""
        return self._call(self._channel.unary_stream, *given, **named)

    def stream_unary(self, *given: object, **named: object) -> object:  # type: ignore[override]
        """As the channel's own; no call of ours streams."""
        return self._call(self._channel.stream_unary, *given, **named)

    def stream_stream(self, *given: object, **named: object) -> object:  # type: ignore[override]
        """As the channel's own; no call of ours streams."""
        return self._call(self._channel.stream_stream, *given, **named)

    @staticmethod
    def _call(make: Callable[..., object], *given: object, **named: object) -> object:
        return make(*given, **named)

    def close(self) -> None:
        """As the channel's own."""
        self._channel.close()

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _counting(parse: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def counted(data: bytes) -> object:
        check_count(data)
        return parse(data)

    return counted
