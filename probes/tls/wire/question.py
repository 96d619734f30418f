"""One hello and the answer to it, as a conversation of the transport. Nothing is sent after the hello."""

from probes.tls.wire.answers import Answer, NoAnswer
from probes.tls.wire.hello import Hello, Ssl2Hello, encode
from probes.tls.wire.parse import DEFAULT_LIMITS, FirstFlight, ParseLimits, Until


class Question:
    """A ``Conversation[Answer]``. It proves what the server chose or said, not who the server is.

    ``hello`` may be given as its bytes. Raises ValueError when built from a hello that cannot be encoded.
    """

    def __init__(
        self, hello: Hello | Ssl2Hello | bytes, until: Until = Until.HELLO, limits: ParseLimits = DEFAULT_LIMITS
    ) -> None:
        self._bytes = hello if isinstance(hello, bytes) else encode(hello)
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
