"""The log of one key: what is logged, and what was."""

from __future__ import annotations

from datetime import datetime

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import NOT_ASKED
from probes.clouds.gcp.names import key_name
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.session import Session
from probes.keys.aspects import Aspect
from probes.keys.facts import EventFacts, LoggingFacts
from probes.keys.gcp.audit import logging_facts
from probes.keys.gcp.entries import event_facts
from probes.keys.gcp.hierarchy import ancestry
from probes.keys.subjects import Key


def read_log(
    subject: Key, asked: frozenset[Aspect], window: tuple[datetime, datetime], io: Io
) -> tuple[LoggingFacts | Unseen, EventFacts | Unseen, str, tuple[Blob, ...]]:
    """The audit configuration and the entries of the key's own project; a denial of one is not one of the other.

    Calls by principals of other projects are logged here when they succeed; some that were denied are logged only in
    the caller's own project. Raises ProbeError when there is no credential to ask with.
    """
    name = key_name(subject.resource)
    identity = clients.identity_of(subject.identities.log, io)
    clients.credentials(identity, io)
    session = Session(identity, io)
    configured: LoggingFacts | Unseen = NOT_ASKED
    events: EventFacts | Unseen = NOT_ASKED
    blobs: tuple[Blob, ...] = ()
    # the log first: what is above the project is another service's word, which may be slow
    if Aspect.EVENTS in asked:
        events, blobs = event_facts(name, window, session)
    if Aspect.LOGGING in asked:
        configured = logging_facts(ancestry(name.project, session), identity.universe_domain)
    known = clients.spoken(io)
    if any(known.within(each.model_dump_json().encode()) for each in (configured, events)):
        raise ProbeError(Reason.MALFORMED, "the answers repeat the credential that they were asked with")
    return configured, events, clients.host(identity, Api.LOGGING), blobs
