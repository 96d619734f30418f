"""Locations, external key managers' connections, and the (always empty) list of operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.cloud import kms_v1
from google.cloud.location import locations_pb2  # type: ignore[import-untyped]
from google.longrunning import operations_pb2  # type: ignore[import-untyped]

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.errors import invalid, not_found
from keycheck.lab.gcp.names import LOCATIONS, above, checked
from keycheck.lab.gcp.store import Store

_EKM: Final = "/google.cloud.kms.v1.EkmService/"
_LOCATIONS: Final = "/google.cloud.location.Locations/"


class Places:
    """The handlers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _EKM + "GetEkmConnection": self.get_connection,
            _EKM + "ListEkmConnections": self.list_connections,
            _EKM + "VerifyConnectivity": self.verify_connectivity,
            _LOCATIONS + "GetLocation": self.get_location,
            _LOCATIONS + "ListLocations": self.list_locations,
            "/google.longrunning.Operations/GetOperation": self.get_operation,
        }

    def get_connection(self, call: Call, request: kms_v1.GetEkmConnectionRequest) -> kms_v1.EkmConnection:
        call.resource = request.name
        call.require("cloudkms.ekmConnections.get", request.name)
        return self._connection(request.name)

    def list_connections(
        self, call: Call, request: kms_v1.ListEkmConnectionsRequest
    ) -> kms_v1.ListEkmConnectionsResponse:
        call.resource = checked(request.parent, 2)
        call.require("cloudkms.ekmConnections.list", request.parent)
        found = sorted(name for name in self._store.connections if above(name) == request.parent)
        page, after = call.page(len(found), request.page_size, request.page_token)
        return kms_v1.ListEkmConnectionsResponse(
            ekm_connections=[self._store.connections[found[index]] for index in page],
            next_page_token=after,
            total_size=len(found),
        )

    def verify_connectivity(
        self, call: Call, request: kms_v1.VerifyConnectivityRequest
    ) -> kms_v1.VerifyConnectivityResponse:
        call.resource = request.name
        call.require("cloudkms.ekmConnections.verifyConnectivity", request.name)
        self._connection(request.name)
        return kms_v1.VerifyConnectivityResponse()

    def get_location(self, call: Call, request: locations_pb2.GetLocationRequest) -> locations_pb2.Location:
        call.resource = checked(request.name, 2)
        call.require("cloudkms.locations.get", request.name)
        return _location(request.name)

    def list_locations(
        self, call: Call, request: locations_pb2.ListLocationsRequest
    ) -> locations_pb2.ListLocationsResponse:
        if not request.name.startswith("projects/") or request.name.count("/") != 1:
            raise invalid(f"Resource name [{request.name}] is no project.")
        call.resource = request.name
        call.require("cloudkms.locations.list", request.name)
        found = sorted(LOCATIONS)
        page, after = call.page(len(found), request.page_size, request.page_token)
        return locations_pb2.ListLocationsResponse(
            locations=[_location(f"{request.name}/locations/{found[index]}") for index in page], next_page_token=after
        )

    def get_operation(self, call: Call, request: operations_pb2.GetOperationRequest) -> operations_pb2.Operation:
        """The lab starts none: what would, deletes for ever."""
        call.resource = request.name
        raise not_found("Operation", request.name)

    def _connection(self, name: str) -> kms_v1.EkmConnection:
        connection = self._store.connections.get(name)
        if connection is None:
            raise not_found("EkmConnection", name)
        return connection


def _location(name: str) -> locations_pb2.Location:
    place = name.rsplit("/", 1)[1]
    if place not in LOCATIONS:
        raise not_found("Location", name)
    hardware, external = LOCATIONS[place]
    location = locations_pb2.Location(name=name, location_id=place, labels={"cloud.googleapis.com/region": place})
    location.metadata.Pack(
        kms_v1.LocationMetadata.pb(kms_v1.LocationMetadata(hsm_available=hardware, ekm_available=external))
    )
    return location
