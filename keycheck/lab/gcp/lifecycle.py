"""CryptoKeyVersions: made, read, listed, disabled, enabled, destroyed and restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.cloud import kms_v1

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.errors import failed, invalid, unimplemented
from keycheck.lab.gcp.faults import Faults
from keycheck.lab.gcp.names import above, checked
from keycheck.lab.gcp.store import EXTERNALLY, State, Store, Version, wrong_state
from keycheck.lab.gcp.versions import Maker
from keycheck.lab.gcp.wire import shown_version, state_of

_SERVICE: Final = "/google.cloud.kms.v1.KeyManagementService/"
_FULL: Final = kms_v1.CryptoKeyVersion.CryptoKeyVersionView.FULL
_OPTIONS: Final = "external_protection_level_options"


class Lifecycle:
    """The handlers. Permissions on versions are asked of their key."""

    def __init__(self, store: Store, maker: Maker, faults: Faults) -> None:
        self._store = store
        self._maker = maker
        self._faults = faults

    def handlers(self) -> Mapping[str, Handler]:
        named: Mapping[str, Handler] = {
            "CreateCryptoKeyVersion": self.create,
            "GetCryptoKeyVersion": self.get,
            "ListCryptoKeyVersions": self.list,
            "UpdateCryptoKeyVersion": self.update,
            "DestroyCryptoKeyVersion": self.destroy,
            "RestoreCryptoKeyVersion": self.restore,
        }
        return {_SERVICE + name: handler for name, handler in named.items()}

    def create(self, call: Call, request: kms_v1.CreateCryptoKeyVersionRequest) -> kms_v1.CryptoKeyVersion:
        """Never makes the version primary, not even the first."""
        call.resource = checked(request.parent, 4)
        call.require("cloudkms.cryptoKeyVersions.create", request.parent)
        key = self._store.key(request.parent, call.now)
        if key.settings.import_only:
            raise failed(f"{key.name} is import-only: versions can only be imported.")
        options = request.crypto_key_version.external_protection_level_options
        external = key.settings.protection in EXTERNALLY
        if external != bool(options.external_key_uri or options.ekm_connection_key_path):
            raise invalid(f"{_OPTIONS} must be set for external keys, and only for them.")
        version = self._maker.add(key, call.now)
        version.external_uri, version.ekm_path = options.external_key_uri, options.ekm_connection_key_path
        call.resource = version.name
        return shown_version(version)

    def get(self, call: Call, request: kms_v1.GetCryptoKeyVersionRequest) -> kms_v1.CryptoKeyVersion:
        call.resource = checked(request.name, 5)
        call.require("cloudkms.cryptoKeyVersions.get", above(request.name))
        return shown_version(self._store.version(request.name, call.now)[1])

    def list(self, call: Call, request: kms_v1.ListCryptoKeyVersionsRequest) -> kms_v1.ListCryptoKeyVersionsResponse:
        call.resource = checked(request.parent, 4)
        call.require("cloudkms.cryptoKeyVersions.list", request.parent)
        key = self._store.key(request.parent, call.now)
        state = _state_filter(request.filter)
        found = [version for _, version in sorted(key.versions.items()) if state in (None, version.state)]
        page, after = call.page(len(found), request.page_size, request.page_token)
        shown = [shown_version(found[index], full=request.view == _FULL) for index in page]
        return kms_v1.ListCryptoKeyVersionsResponse(
            crypto_key_versions=shown, next_page_token=after, total_size=len(found)
        )

    def update(self, call: Call, request: kms_v1.UpdateCryptoKeyVersionRequest) -> kms_v1.CryptoKeyVersion:
        wanted = request.crypto_key_version
        call.resource = checked(wanted.name, 5)
        call.require("cloudkms.cryptoKeyVersions.update", above(wanted.name))
        _, version = self._store.version(wanted.name, call.now)
        paths = set(request.update_mask.paths)
        if paths == {"state"}:
            self._switch(call, version, state_of(wanted))
        elif paths and all(path.startswith(_OPTIONS) for path in paths):
            options = wanted.external_protection_level_options
            version.external_uri, version.ekm_path = options.external_key_uri, options.ekm_connection_key_path
        else:
            raise invalid(f"update_mask must name state, or {_OPTIONS}.")
        return shown_version(version)

    def destroy(self, call: Call, request: kms_v1.DestroyCryptoKeyVersionRequest) -> kms_v1.CryptoKeyVersion:
        call.resource = checked(request.name, 5)
        call.require("cloudkms.cryptoKeyVersions.destroy", above(request.name))
        key, version = self._store.version(request.name, call.now)
        if version.state not in (State.ENABLED, State.DISABLED):
            raise wrong_state(version, "cannot be destroyed")
        self._linger(call, version)
        version.state = State.DESTROY_SCHEDULED
        version.destroy_time = call.now + key.settings.destroy_scheduled
        return shown_version(version)

    def restore(self, call: Call, request: kms_v1.RestoreCryptoKeyVersionRequest) -> kms_v1.CryptoKeyVersion:
        """To DISABLED: enabling is a second step."""
        call.resource = checked(request.name, 5)
        call.require("cloudkms.cryptoKeyVersions.restore", above(request.name))
        _, version = self._store.version(request.name, call.now)
        if version.state is not State.DESTROY_SCHEDULED:
            raise wrong_state(version, "is not scheduled for destruction")
        version.state = State.DISABLED
        version.destroy_time = None
        return shown_version(version)

    def _switch(self, call: Call, version: Version, state: State | None) -> None:
        switchable = (State.ENABLED, State.DISABLED)
        if state is None or state not in switchable or version.state not in switchable:
            raise wrong_state(version, f"cannot become {state or 'unspecified'}")
        if state is State.DISABLED:
            self._linger(call, version)
        else:
            # enabling is strongly consistent
            version.usable_until = None
        version.state = state

    def _linger(self, call: Call, version: Version) -> None:
        if version.state is State.ENABLED and self._faults.disable_lag:
            version.usable_until = call.now + self._faults.disable_lag


def _state_filter(text: str) -> State | None:
    if not text:
        return None
    name = text.replace(" ", "").replace(":", "=").removeprefix("state=")
    if name not in State.__members__:
        raise unimplemented("filters other than state=…")
    return State(name)
