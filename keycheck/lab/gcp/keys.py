"""Key rings and keys: made, read, listed, changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from google.cloud import kms_v1

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.errors import already_exists, invalid, unimplemented
from keycheck.lab.gcp.material import checked_algorithm
from keycheck.lab.gcp.names import above, checked, checked_id, location_of
from keycheck.lab.gcp.store import EXTERNALLY, Key, Protection, Purpose, Settings, State, Store, wrong_state
from keycheck.lab.gcp.versions import DESTROY_SCHEDULED, Maker, checked_rotation, checked_settings
from keycheck.lab.gcp.wire import (
    enum_name,
    moment,
    protection_of,
    purpose_of,
    reasons_of,
    shown_key,
    shown_ring,
    span,
)

_SERVICE: Final = "/google.cloud.kms.v1.KeyManagementService/"
_FULL: Final = kms_v1.CryptoKeyVersion.CryptoKeyVersionView.FULL
_FIELDS: Final = frozenset(
    {
        "labels",
        "rotation_period",
        "next_rotation_time",
        "version_template.algorithm",
        "key_access_justifications_policy",
    }
)


class Keys:
    """The handlers."""

    def __init__(self, store: Store, maker: Maker) -> None:
        self._store = store
        self._maker = maker

    def handlers(self) -> Mapping[str, Handler]:
        named: Mapping[str, Handler] = {
            "CreateKeyRing": self.create_ring,
            "GetKeyRing": self.get_ring,
            "ListKeyRings": self.list_rings,
            "CreateCryptoKey": self.create_key,
            "GetCryptoKey": self.get_key,
            "ListCryptoKeys": self.list_keys,
            "UpdateCryptoKey": self.update_key,
            "UpdateCryptoKeyPrimaryVersion": self.update_primary,
        }
        return {_SERVICE + name: handler for name, handler in named.items()}

    def create_ring(self, call: Call, request: kms_v1.CreateKeyRingRequest) -> kms_v1.KeyRing:
        parent = checked(request.parent, 2)
        name = f"{parent}/keyRings/{checked_id(request.key_ring_id, 'key_ring_id')}"
        call.resource = name
        call.require("cloudkms.keyRings.create", parent)
        if name in self._store.rings:
            raise already_exists("KeyRing", name)
        self._store.rings[name] = call.now
        return shown_ring(name, call.now)

    def get_ring(self, call: Call, request: kms_v1.GetKeyRingRequest) -> kms_v1.KeyRing:
        call.resource = checked(request.name, 3)
        call.require("cloudkms.keyRings.get", request.name)
        return shown_ring(request.name, self._store.ring(request.name))

    def list_rings(self, call: Call, request: kms_v1.ListKeyRingsRequest) -> kms_v1.ListKeyRingsResponse:
        call.resource = checked(request.parent, 2)
        call.require("cloudkms.keyRings.list", request.parent)
        _no_filter(request.filter)
        found = sorted(name for name in self._store.rings if above(name) == request.parent)
        page, after = call.page(len(found), request.page_size, request.page_token)
        shown = [shown_ring(found[index], self._store.rings[found[index]]) for index in page]
        return kms_v1.ListKeyRingsResponse(key_rings=shown, next_page_token=after, total_size=len(found))

    def create_key(self, call: Call, request: kms_v1.CreateCryptoKeyRequest) -> kms_v1.CryptoKey:
        ring = checked(request.parent, 3)
        name = f"{ring}/cryptoKeys/{checked_id(request.crypto_key_id, 'crypto_key_id')}"
        call.resource = name
        call.require("cloudkms.cryptoKeys.create", ring)
        self._store.ring(ring)
        wanted = request.crypto_key
        template = wanted.version_template
        settings = Settings(
            purpose_of(wanted),
            protection_of(template) or Protection.SOFTWARE,
            enum_name(template, "algorithm"),
            call.now,
            span(wanted, "destroy_scheduled_duration") or DESTROY_SCHEDULED,
            span(wanted, "rotation_period"),
            moment(wanted, "next_rotation_time"),
            wanted.import_only,
            wanted.crypto_key_backend,
            dict(wanted.labels),
            reasons_of(wanted),
        )
        key = Key(name, checked_settings(name, settings))
        if key.settings.next_rotation is not None and key.settings.next_rotation <= call.now:
            raise invalid("next_rotation_time must be in the future.")
        skip = request.skip_initial_version_creation
        if (key.settings.import_only or key.settings.protection in EXTERNALLY) and not skip:
            raise invalid("skip_initial_version_creation must be true for import-only and external keys.")
        if key.settings.protection is Protection.EXTERNAL_VPC:
            self._known_connection(key)
        if name in self._store.keys:
            raise already_exists("CryptoKey", name)
        self._store.keys[name] = key
        if not skip:
            version = self._maker.add(key, call.now)
            if key.settings.purpose is Purpose.ENCRYPT_DECRYPT:
                key.primary = version.number
        return shown_key(key)

    def get_key(self, call: Call, request: kms_v1.GetCryptoKeyRequest) -> kms_v1.CryptoKey:
        call.resource = checked(request.name, 4)
        call.require("cloudkms.cryptoKeys.get", request.name)
        return shown_key(self._store.key(request.name, call.now))

    def list_keys(self, call: Call, request: kms_v1.ListCryptoKeysRequest) -> kms_v1.ListCryptoKeysResponse:
        call.resource = checked(request.parent, 3)
        call.require("cloudkms.cryptoKeys.list", request.parent)
        self._store.ring(request.parent)
        _no_filter(request.filter)
        found = sorted(name for name in self._store.keys if above(name) == request.parent)
        page, after = call.page(len(found), request.page_size, request.page_token)
        full = request.version_view == _FULL
        shown = [shown_key(self._store.key(found[index], call.now), full=full) for index in page]
        return kms_v1.ListCryptoKeysResponse(crypto_keys=shown, next_page_token=after, total_size=len(found))

    def update_key(self, call: Call, request: kms_v1.UpdateCryptoKeyRequest) -> kms_v1.CryptoKey:
        wanted = request.crypto_key
        call.resource = checked(wanted.name, 4)
        call.require("cloudkms.cryptoKeys.update", wanted.name)
        key = self._store.key(wanted.name, call.now)
        paths = set(request.update_mask.paths)
        if not paths or not paths <= _FIELDS:
            raise invalid("update_mask must name fields of the key that can be changed.")
        changed = key.settings
        if "labels" in paths:
            changed = replace(changed, labels=dict(wanted.labels))
        if "rotation_period" in paths:
            changed = replace(changed, rotation_period=span(wanted, "rotation_period"))
        if "next_rotation_time" in paths:
            changed = replace(changed, next_rotation=moment(wanted, "next_rotation_time"))
        if "version_template.algorithm" in paths:
            algorithm = checked_algorithm(enum_name(wanted.version_template, "algorithm"), changed.purpose)
            changed = replace(changed, algorithm=algorithm)
        if "key_access_justifications_policy" in paths:
            changed = replace(changed, allowed_reasons=reasons_of(wanted))
        checked_rotation(changed)
        key.settings = changed
        return shown_key(self._store.key(wanted.name, call.now))

    def update_primary(self, call: Call, request: kms_v1.UpdateCryptoKeyPrimaryVersionRequest) -> kms_v1.CryptoKey:
        """Does not move next_rotation_time."""
        call.resource = checked(request.name, 4)
        call.require("cloudkms.cryptoKeys.update", request.name)
        key = self._store.key(request.name, call.now)
        if key.settings.purpose is not Purpose.ENCRYPT_DECRYPT:
            raise invalid("Only keys with purpose ENCRYPT_DECRYPT have a primary version.")
        name = f"{key.name}/cryptoKeyVersions/{checked_id(request.crypto_key_version_id, 'crypto_key_version_id')}"
        _, version = self._store.version(name, call.now)
        if version.state is not State.ENABLED:
            raise wrong_state(version, "cannot be the primary version")
        if call.faults.primary_lag:
            key.lagging = (key.primary, call.now + call.faults.primary_lag)
        key.primary = version.number
        return shown_key(key)

    def _known_connection(self, key: Key) -> None:
        backend = key.settings.backend
        if backend not in self._store.connections or location_of(backend) != location_of(key.name):
            raise invalid(f"EkmConnection {backend} does not exist in {location_of(key.name)}.")


def _no_filter(text: str) -> None:
    if text:
        raise unimplemented("filters on this list")
