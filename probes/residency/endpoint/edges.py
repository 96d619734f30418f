"""What the head of an answer says of a content delivery network: which, from where, and its own time to the origin.

Every line can be set by whoever configures the network, and by the origin behind it: this is what is told, no proof. A
time to the origin is only taken from an answer that the network did not have itself (`miss`, `dynamic`), because a hit
needs no origin; and only where it is measured from the point of presence that is named, because it bounds a distance
from there. Times are told in whole milliseconds, cut off: one is added.

==================  ==========================================================================================
CloudFront          `X-Amz-Cf-Pop`, `X-Cache` (documented); `Server-Timing`: `cdn-upstream-layer`,
                    `cdn-upstream-fbl`, `cdn-pop` (Developer Guide, "Server-Timing header")
Fastly              `X-Served-By`, `X-Cache`, `X-Timer` (Fastly, HTTP headers reference): nodes from the one next
                    to the origin to the one next to us
Cloudflare          `CF-Ray`, `CF-Cache-Status`, `Server` (documented); `Server-Timing`: `origin`, `edge`
                    (changelog of 2026-02-18); `cfOrigin`, `cfEdge` from memory
Akamai              `Server-Timing`: `cdn-cache`, `edge`, `origin` (SpeedCurve, "Collecting custom data from your
                    CDN"); `Server: AkamaiGHost`, `X-Cache` with `AkamaiGHost`, `X-Akamai-*` from memory
Azure Front Door    `X-Azure-Ref`, `X-Cache` (documented); that the reference holds the code of the place, as in
                    `WSTEDGE0619`, is read off Microsoft's own example
CDN77               `X-77-Pop`, `X-77-Cache`: from memory
==================  ==========================================================================================
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.residency.endpoint.http_answer import Head
from probes.residency.endpoint_facts import EdgeSeen, NoEdge

Cache: TypeAlias = Literal["hit", "miss", "dynamic", "unknown"]
Edge: TypeAlias = EdgeSeen | NoEdge | Unseen

MAX_LINES: Final = 16
"""Lines of a head that are kept as what an edge was read from."""
MAX_VALUE: Final = 2000
"""Characters of a value that are read; a longer one is not."""
MAX_METRICS: Final = 64
TICK_US: Final = 1000
"""Resolution in which these networks tell times."""
MAX_MS: Final = 3_600_000

_POP: Final = re.compile(r"[A-Z]{3}[A-Z0-9-]{0,12}")
_FASTLY: Final = re.compile(r"cache-[a-z0-9-]{1,40}-([A-Z]{3})")
_TIMER: Final = re.compile(r"S[0-9]{1,12}(?:\.[0-9]{1,9})?,VS([0-9]{1,8}),VE([0-9]{1,8})")
_RAY: Final = re.compile(r"[0-9a-f]{8,32}-([A-Z]{3})")
_AZURE: Final = re.compile(rb"([A-Z]{2,5}[0-9]{0,3})EDGE[0-9]{2,6}")
_DURATION: Final = re.compile(r"([0-9]{1,8})(?:\.([0-9]{1,6}))?")


@dataclass(frozen=True, slots=True)
class _Told:
    pop: str | None
    cache: Cache
    origin_ms: Decimal | None
    origin_header: str | None


@dataclass(frozen=True, slots=True)
class _Network:
    name: str
    lines: tuple[str, ...]
    """Names of headers, and prefixes with a `*`, that it writes."""
    is_there: Callable[[Head], bool]
    read: Callable[[Head], _Told]


def edge_of(head: Head) -> Edge:
    """What one head says. Several networks at once, one behind the other, are told as `one+other`, without a place or a
    time: nobody can say whose they are."""
    found = [network for network in _NETWORKS if network.is_there(head)]
    if not found:
        return NoEdge()
    lines = [(name, value) for name, value in head.headers if any(_matches(name, one) for one in found)]
    if len(lines) > MAX_LINES or any(len(value) > MAX_VALUE for _, value in lines):
        detail = f"{found[0].name}: headers too many or too long to be read"
        return Unseen(reason=Reason.MALFORMED, detail=detail)
    told = found[0].read(head) if len(found) == 1 else _Told(None, "unknown", None, None)
    usable = told.cache in ("miss", "dynamic") and told.origin_ms is not None and told.origin_ms < MAX_MS
    return EdgeSeen(
        cdn="+".join(sorted(network.name for network in found)),
        pop=None if told.pop is None else vendor_text(told.pop),
        cache=told.cache,
        origin_us=int(told.origin_ms) * TICK_US + TICK_US if usable and told.origin_ms is not None else None,
        origin_header=told.origin_header if usable else None,
        headers=tuple(vendor_text(f"{name}: {value}") for name, value in lines),
    )


def best_edge(heads: Iterable[Head]) -> Edge:
    """Of the answers to the same request: the one that tells the least time to the origin, else any edge; `NoEdge` only
    where no answer names one and all could be read."""
    edges = [edge_of(head) for head in heads]
    seen = [edge for edge in edges if isinstance(edge, EdgeSeen)]
    if seen:
        return min(seen, key=lambda edge: (edge.origin_us is None, edge.origin_us or 0, edge.pop is None))
    return next((edge for edge in edges if isinstance(edge, Unseen)), NoEdge())


def _matches(name: str, network: _Network) -> bool:
    return any(name.startswith(line[:-1]) if line.endswith("*") else name == line for line in network.lines)


def _only(head: Head, name: str) -> str | None:
    """The value of a header that stands there once: of two, one is somebody else's."""
    values = head.all(name)
    return values[0] if len(values) == 1 and len(values[0]) <= MAX_VALUE else None


def _metrics(head: Head) -> dict[str, dict[str, str]]:
    """Server-Timing (W3C): names with their parameters. A name that comes twice is left out, it is not known whose."""
    found: dict[str, dict[str, str]] = {}
    twice: set[str] = set()
    for value in head.all("server-timing"):
        for metric in value[:MAX_VALUE].split(",")[:MAX_METRICS]:
            name, *parameters = (part.strip() for part in metric.split(";"))
            if name in found:
                twice.add(name)
            pairs = (parameter.partition("=") for parameter in parameters)
            found[name] = {key.strip().lower(): said.strip().strip('"') for key, _, said in pairs}
    return {name: parameters for name, parameters in found.items() if name not in twice}


def _milliseconds(parameters: dict[str, str] | None) -> Decimal | None:
    told = None if parameters is None else _DURATION.fullmatch(parameters.get("dur", ""))
    return None if told is None else Decimal(told[0])


def _pop(value: str | None) -> str | None:
    return value if value is not None and _POP.fullmatch(value) else None


# -- the networks ---------------------------------------------------------------------------------------------------


def _cloudfront(head: Head) -> _Told:
    metrics = _metrics(head)
    pop = _pop(_only(head, "x-amz-cf-pop"))
    state = (_only(head, "x-cache") or "").lower()
    cache: Cache = "unknown"
    if state.startswith(("hit ", "refreshhit ")) or "cdn-cache-hit" in metrics or "cdn-cache-refresh" in metrics:
        cache = "hit"
    elif state.startswith("miss ") or "cdn-cache-miss" in metrics:
        cache = "miss"
    # A regional cache or an origin shield in between measures from its own place, which is not told.
    from_pop = metrics.get("cdn-upstream-layer", {}).get("desc", "").upper() == "EDGE"
    same = metrics.get("cdn-pop", {}).get("desc", pop) == pop
    told = _milliseconds(metrics.get("cdn-upstream-fbl")) if from_pop and same else None
    return _Told(pop, cache, told, "server-timing: cdn-upstream-fbl")


def _fastly(head: Head) -> _Told:
    nodes = [node.strip() for node in (_only(head, "x-served-by") or "").split(",")]
    states = [state.strip().upper() for state in (_only(head, "x-cache") or "").split(",")]
    ours = _FASTLY.fullmatch(nodes[-1])
    cache: Cache = "unknown"
    if any(state.startswith("HIT") for state in states):
        cache = "hit"
    elif states and all(state.startswith(("MISS", "PASS")) for state in states):
        cache = "miss"
    timer = _TIMER.fullmatch(_only(head, "x-timer") or "")
    told = Decimal(int(timer[2]) - int(timer[1])) if timer is not None and int(timer[2]) >= int(timer[1]) else None
    return _Told(None if ours is None else ours[1], cache, told, "x-timer: VE")


def _cloudflare(head: Head) -> _Told:
    metrics = _metrics(head)
    ray = _RAY.fullmatch(_only(head, "cf-ray") or "")
    state = (_only(head, "cf-cache-status") or "").upper()
    cache: Cache = "unknown"
    if state in ("HIT", "STALE", "UPDATING", "REVALIDATED"):
        cache = "hit"
    elif state in ("MISS", "EXPIRED"):
        cache = "miss"
    elif state in ("DYNAMIC", "BYPASS"):
        cache = "dynamic"
    told = _milliseconds(metrics.get("cfOrigin") or metrics.get("origin"))
    return _Told(None if ray is None else ray[1], cache, told, "server-timing: origin")


def _akamai(head: Head) -> _Told:
    metrics = _metrics(head)
    state = metrics.get("cdn-cache", {}).get("desc", "").upper() or (_only(head, "x-cache") or "").upper()
    cache: Cache = "unknown"
    if "HIT" in state:
        cache = "hit"
    elif "MISS" in state:
        cache = "miss"
    return _Told(None, cache, _milliseconds(metrics.get("origin")), "server-timing: origin")


def _azure(head: Head) -> _Told:
    state = (_only(head, "x-cache") or "").upper()
    cache: Cache = "unknown"
    if state in ("TCP_HIT", "TCP_REMOTE_HIT", "TCP_REVALIDATED_HIT"):
        cache = "hit"
    elif state == "TCP_MISS":
        cache = "miss"
    elif state in ("CONFIG_NOCACHE", "PRIVATE_NOSTORE"):
        cache = "dynamic"
    return _Told(_azure_pop(_only(head, "x-azure-ref") or ""), cache, None, None)


def _azure_pop(reference: str) -> str | None:
    """The code in a reference of the older form: base64 behind one digit."""
    text = reference[1:121]
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    found = _AZURE.search(raw)
    return None if found is None else found[1].decode("ascii")


def _cdn77(head: Head) -> _Told:
    state = (_only(head, "x-77-cache") or "").upper()
    pop = _only(head, "x-77-pop")
    named = pop is not None and re.fullmatch(r"[A-Za-z]{2,40}", pop)
    cache: Cache = "hit" if state == "HIT" else "miss" if state == "MISS" else "unknown"
    return _Told(pop if named else None, cache, None, None)


def _has(*names: str) -> Callable[[Head], bool]:
    return lambda head: any(head.all(name) for name in names)


def _is_fastly(head: Head) -> bool:
    nodes = ",".join(head.all("x-served-by"))[:MAX_VALUE]
    return bool(_FASTLY.search(nodes)) or bool(head.all("x-timer") and head.all("x-served-by"))


def _is_akamai(head: Head) -> bool:
    said = [*head.all("server"), *head.all("x-cache"), *head.all("x-cache-remote")]
    return any("akamai" in value[:MAX_VALUE].lower() for value in said) or any(
        name.startswith(("x-akamai-", "akamai-")) for name, _ in head.headers
    )


def _is_cloudfront(head: Head) -> bool:
    if head.all("x-amz-cf-pop") or head.all("x-amz-cf-id"):
        return True
    said = [value[:MAX_VALUE].lower() for value in (*head.all("x-cache"), *head.all("via"))]
    return any(value.endswith("from cloudfront") or "(cloudfront)" in value for value in said)


def _is_cloudflare(head: Head) -> bool:
    return bool(head.all("cf-ray")) or "cloudflare" in (value.lower() for value in head.all("server"))


_NETWORKS: Final = (
    _Network(
        "cloudfront", ("x-amz-cf-pop", "x-amz-cf-id", "x-cache", "server-timing", "via"), _is_cloudfront, _cloudfront
    ),
    _Network("fastly", ("x-served-by", "x-cache", "x-cache-hits", "x-timer"), _is_fastly, _fastly),
    _Network("cloudflare", ("cf-ray", "cf-cache-status", "server", "server-timing"), _is_cloudflare, _cloudflare),
    _Network("akamai", ("server", "x-cache*", "server-timing", "x-akamai-*", "akamai-*"), _is_akamai, _akamai),
    _Network("azure-front-door", ("x-azure-ref", "x-cache"), _has("x-azure-ref"), _azure),
    _Network("cdn77", ("x-77-pop", "x-77-cache", "x-77-nzt"), _has("x-77-pop", "x-77-cache"), _cdn77),
)
