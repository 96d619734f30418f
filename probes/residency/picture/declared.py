"""The scene of a deployment alone: what is declared, before anything was looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from keycheck.model.deployment import Deployment, SubjectEntry
from probes.keys.subjects import Key
from probes.places.extents import Activity
from probes.places.scopes import Scope
from probes.places.whereabouts import Whereabouts
from probes.residency.picture.scene import Arrow, Drawn, Kind, Scene, Thing, Where, gathered, in_region, named
from probes.residency.subjects import Inference, Operator, Resource, Roster, Store
from probes.tls.subjects import Endpoint

DECLARED = "declared; nothing was looked at"


def declared_scene(deployment: Deployment, scope: Scope) -> Scene:
    """What a deployment says of where things are, and which lead to which."""
    drawn = (one for entry in deployment.subjects for one in _entry(entry, scope))
    title = f"{deployment.title or deployment.deployment}: as declared"
    return gathered(title, "Drawn from the deployment file: claims, none of them tested.", drawn, scope)


def _entry(entry: SubjectEntry, scope: Scope) -> Iterator[Drawn]:
    match entry.section:
        case "endpoints":
            yield from _endpoint(entry.id, Endpoint.model_validate_json(entry.body), scope)
        case "stores":
            yield from _store(entry.id, Store.model_validate_json(entry.body), scope)
        case "keys":
            key = Key.model_validate_json(entry.body)
            region = key.resource.split(":")[3] if key.provider == "aws" else key.resource.split("/")[3]
            yield in_region(entry.id, Kind.KEY, key.id, entry.id, key.provider, (region,), scope, DECLARED)
        case "inference":
            model = Inference.model_validate_json(entry.body)
            # where it is asked is where it runs only if the offer says so
            regions = (model.region,) if model.region and model.scope == "region" else ()
            yield in_region(entry.id, Kind.INFERENCE, model.model, entry.id, model.provider, regions, scope, DECLARED)
            if model.endpoint is not None:
                yield Arrow(f"endpoints/{model.endpoint}", entry.id, "asks", leaves=False)
        case "subprocessors":
            for party in Roster.model_validate_json(entry.body).parties:
                yield Thing(
                    f"{entry.id}#{party.name}", Kind.PARTY, party.name, entry.id, "", (), Where.UNKNOWN, DECLARED
                )
        case "operators":
            operator = Operator.model_validate_json(entry.body)
            seat = frozenset({operator.seat}) if operator.seat else frozenset[str]()
            inside = scope.contains(seat, Activity.ADMINISTER).standing
            where = {"inside": Where.INSIDE, "unknown": Where.UNKNOWN}.get(inside.value, Where.OUTSIDE)
            place = operator.seat or ""
            yield Thing(entry.id, Kind.PARTY, operator.name, entry.id, place, (), where, DECLARED)


def _endpoint(subject: str, endpoint: Endpoint, scope: Scope) -> Iterator[Drawn]:
    said = endpoint.whereabouts or Whereabouts()
    regions = (said.region,) if said.region else ()
    yield in_region(subject, Kind.ENDPOINT, endpoint.id, subject, said.provider or "other", regions, scope, DECLARED)
    source = subject
    if said.cdn is not None:
        source = f"{subject}#edge"
        yield Thing(source, Kind.EDGE, said.cdn, subject, "many places", (), Where.UNKNOWN, DECLARED)
        yield Arrow(subject, source, "answers at", leaves=False)
    if said.origin is not None:
        origin = in_region(
            f"{subject}#origin",
            Kind.ORIGIN,
            f"origin of {endpoint.id}",
            subject,
            said.origin.provider,
            (said.origin.region,),
            scope,
            DECLARED,
        )
        yield origin
        yield Arrow(source, origin.id, "fetches from", leaves=origin.where is not Where.INSIDE)


def _store(subject: str, store: Store, scope: Scope) -> Iterator[Drawn]:
    label = named(store.what.name) if isinstance(store.what, Resource) else f"account {store.what.account}"
    regions = (store.region,) if store.region else ()
    yield in_region(subject, Kind.STORE, label, subject, store.provider, regions, scope, DECLARED)
    for key in store.agreed.keys:
        yield Arrow(subject, f"keys/{key}", "under", leaves=False)
