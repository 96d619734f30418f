"""What a project's own sink keeps out of its log. Entries that it leaves out cannot be read by anybody, ever.

Filters are not evaluated: one that is not surely about something else may be about uses of keys. Sources: Cloud
Logging, "Routing and storage overview"; `google.logging.v2.LogSink`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.pages import Bounds, Page, read_all
from probes.clouds.gcp.session import Session

if TYPE_CHECKING:
    from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
    from google.cloud.logging_v2.types import LogSink

_SINKS: Final = Bounds(pages=5, items=500)
_PAGE: Final = 100
_DEFAULT: Final = "_Default"
_OTHER_LOG: Final = re.compile(r'NOT\s+LOG_ID\("(?!cloudaudit\.googleapis\.com/data_access")[A-Za-z0-9./_-]{1,200}"\)')
_OTHER_TYPE: Final = re.compile(r'resource\.type\s*=\s*"(?!cloudkms|audited_resource)[a-z0-9_]{1,100}"')
_ALTERNATIVES: Final = re.compile(r"\bOR\b|\bNOT\b|(?<![\w\"])-|[()]")
_AND: Final = re.compile(r"\s+AND\s+|\s*\n\s*")
_NOT_TOLD: Final = frozenset({Reason.PERMISSION_DENIED, Reason.UNSUPPORTED})


def left_out(project: str, session: Session) -> list[str]:
    """What the sinks of a project leave out of its log, as far as the identity may read them (`logging.sinks.list`);
    empty where it may not, which proves nothing. Raises ProbeError where they could be read another time."""
    try:
        sinks = _listed(project, session)
    except ProbeError as error:
        if error.reason in _NOT_TOLD:
            return []
        raise
    return list(_words(sinks))


def _words(sinks: Iterable[LogSink]) -> Iterable[str]:
    default = next((sink for sink in sinks if sink.name == _DEFAULT), None)
    if default is None:
        yield "all uses, as far as is known: there is no sink _Default"
        return
    if default.disabled:
        yield "all uses: the sink _Default is switched off"
    if not _keeps_uses(default.filter):
        yield "what the filter of the sink _Default does not let through"
    for exclusion in default.exclusions[:100]:
        if not exclusion.disabled and not about_something_else(exclusion.filter):
            yield f"what the exclusion {vendor_text(exclusion.name, 100)} of the sink _Default may leave out"


def _keeps_uses(filter: str) -> bool:
    """Whether a sink's filter surely lets Data Access entries through: nothing, or other logs left out by name."""
    terms = [term for term in _AND.split(filter.strip()[:20_000]) if term]
    return all(_OTHER_LOG.fullmatch(term) for term in terms)


def about_something_else(filter: str) -> bool:
    """Whether a filter surely matches no entry of Cloud KMS: it demands another type of resource, without
    alternatives."""
    text = filter.strip()[:20_000]
    if len(filter) > 20_000 or _ALTERNATIVES.search(text):
        return False
    return any(_OTHER_TYPE.fullmatch(term) for term in _AND.split(text))


def _listed(project: str, session: Session) -> tuple[LogSink, ...]:
    from google.cloud.logging_v2.types import ListSinksRequest

    client = _client(session)

    def fetch(token: str) -> Page[LogSink]:
        request = ListSinksRequest(parent=f"projects/{project}", page_size=_PAGE, page_token=token)
        answer = session.ask(
            Api.LOGGING,
            f"sinks of projects/{project}",
            lambda seconds: client.list_sinks(request=request, retry=None, timeout=seconds),
        )
        return Page(tuple(answer.sinks), answer.next_page_token)

    listing = read_all(fetch, _SINKS)
    if listing.rest is not None:
        raise ProbeError(listing.rest.reason, listing.rest.detail)
    return listing.items


def _client(session: Session) -> ConfigServiceV2Client:
    identity, io = session.identity, session.io

    def make() -> ConfigServiceV2Client:
        from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client as Client
        from google.cloud.logging_v2.services.config_service_v2.transports import (
            ConfigServiceV2GrpcTransport as Transport,
        )

        return clients._client(Client, Transport, Api.LOGGING, identity, io)

    return io.once.get(("gcp", "log sinks", io.vantage, identity), make)
