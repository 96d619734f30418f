"""One hello and the answer to it, as a conversation of the transport. Nothing is sent after the hello."""

from probes.tls.wire.answers import Answer, NoAnswer
from probes.tls.wire.hello import Hello, Ssl2Hello, encode
from probes.tls.wire.parse import DEFAULT_LIMITS, FirstFlight, ParseLimits, Until


class Question:
    """A ``Conversation[Answer]``. It proves what the server chose or said, not who the server is.

    Raises ValueError when built from a hello that cannot be encoded.
    """

    def __init__(
        self, hello: Hello | Ssl2Hello, until: Until = Until.HELLO, limits: ParseLimits = DEFAULT_LIMITS
    ) -> None:
        self.hello = hello
        self._bytes = encode(hello)
        self._flight = FirstFlight(until, limits)

    def start(self) -> bytes:
        return self._bytes

    def feed(self, data: bytes) -> bytes:
        self._flight.feed(data)
        return b""

    def ended(self, how: NoAnswer) -> None:
        self._flight.end(how)

    @property
    def answer(self) -> Answer | None:
        return self._flight.answer

    @property
    def patience_us(self) -> int | None:
        return None
