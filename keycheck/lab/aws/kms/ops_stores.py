"""Custom key stores, in CloudHSM clusters and behind external key store proxies; neither is really there."""

from __future__ import annotations

from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.errors import KmsError, invalid
from keycheck.lab.aws.kms.model import Key, Store

_HSM = "AWS_CLOUDHSM"


def create_custom_key_store(call: Call) -> Result:
    """CreateCustomKeyStore: DISCONNECTED at first."""
    call.may_here()
    params = call.params
    name, kind = params.text("CustomKeyStoreName"), params.text("CustomKeyStoreType", _HSM)
    stores = call.holdings.stores[call.caller.account, call.region]
    if any(store.name == name for store in stores.values()):
        raise KmsError("CustomKeyStoreNameInUseException")
    needed: tuple[str, ...] = ("CloudHsmClusterId", "KeyStorePassword", "TrustAnchorCertificate")
    if kind != _HSM:
        needed = ("XksProxyUriEndpoint", "XksProxyUriPath", "XksProxyAuthenticationCredential", "XksProxyConnectivity")
    for parameter in needed:
        if not params.has(parameter):
            raise invalid(f"{parameter} is required for a custom key store of type {kind}.")
    cluster = params.maybe("CloudHsmClusterId")
    if cluster is not None and any(store.cluster == cluster for store in stores.values()):
        raise KmsError("CloudHsmClusterInUseException")
    place = (params.maybe("XksProxyUriEndpoint"), params.maybe("XksProxyUriPath"))
    if place[0] is not None and any((store.endpoint, store.path) == place for store in stores.values()):
        raise KmsError("XksProxyUriInUseException")
    store = Store(f"cks-{call.holdings.entropy(9).hex()[:17]}", name, kind, call.caller.account, call.region, call.now)
    _apply(store, call)
    store.trust_anchor = params.maybe("TrustAnchorCertificate")
    stores[store.id] = store
    return {"CustomKeyStoreId": store.id}


def describe_custom_key_stores(call: Call) -> Result:
    """DescribeCustomKeyStores; passwords and proxy secrets are never shown."""
    call.may_here()
    wanted, name = call.params.maybe("CustomKeyStoreId"), call.params.maybe("CustomKeyStoreName")
    stores = sorted(call.holdings.stores[call.caller.account, call.region].items())
    found = [store for _, store in stores if wanted in (None, store.id) and name in (None, store.name)]
    if not found and (wanted is not None or name is not None):
        raise KmsError("CustomKeyStoreNotFoundException")
    return call.page([_line(store) for store in found], "CustomKeyStores")


def connect_custom_key_store(call: Call) -> Result:
    """ConnectCustomKeyStore: CONNECTED at once, or FAILED where the lab wants it so."""
    store = _store(call)
    call.may_here()
    if store.state not in ("DISCONNECTED", "FAILED"):
        raise KmsError("CustomKeyStoreInvalidStateException")
    if store.refuses is not None:
        store.state, store.error = "FAILED", store.refuses
    else:
        _move(call, store, "CONNECTED")
    return {}


def disconnect_custom_key_store(call: Call) -> Result:
    """DisconnectCustomKeyStore: the keys in it become Unavailable."""
    store = _store(call)
    call.may_here()
    if store.state == "DISCONNECTED":
        raise KmsError("CustomKeyStoreInvalidStateException")
    _move(call, store, "DISCONNECTED")
    return {}


def update_custom_key_store(call: Call) -> Result:
    """UpdateCustomKeyStore: only while DISCONNECTED; an external one's credential and path also else."""
    store = _store(call)
    call.may_here()
    if store.state != "DISCONNECTED" and store.kind == _HSM:
        raise KmsError("CustomKeyStoreInvalidStateException")
    name = call.params.maybe("NewCustomKeyStoreName")
    if name is not None:
        stores = call.holdings.stores[call.caller.account, call.region]
        if any(other.name == name and other is not store for other in stores.values()):
            raise KmsError("CustomKeyStoreNameInUseException")
        store.name = name
    _apply(store, call)
    return {}


def delete_custom_key_store(call: Call) -> Result:
    """DeleteCustomKeyStore: DISCONNECTED and without keys."""
    store = _store(call)
    call.may_here()
    if _keys(call, store):
        raise KmsError("CustomKeyStoreHasCMKsException")
    if store.state != "DISCONNECTED":
        raise KmsError("CustomKeyStoreInvalidStateException")
    del call.holdings.stores[call.caller.account, call.region][store.id]
    return {}


def _store(call: Call) -> Store:
    found = call.holdings.stores[call.caller.account, call.region].get(call.params.text("CustomKeyStoreId"))
    if found is None:
        raise KmsError("CustomKeyStoreNotFoundException")
    return found


def _keys(call: Call, store: Store) -> list[Key]:
    keys = call.holdings.keys[store.account, store.region].values()
    return [key for key in keys if key.store is store]


def _move(call: Call, store: Store, state: str) -> None:
    with call.holdings.lock:
        for key in _keys(call, store):
            key.linger(key.state_in_use(call.now), call.now, call.holdings.faults.lags.state)
        store.state, store.error = state, None


def _apply(store: Store, call: Call) -> None:
    params = call.params
    store.cluster = params.maybe("CloudHsmClusterId") or store.cluster
    store.connectivity = params.maybe("XksProxyConnectivity") or store.connectivity
    store.access_key = params.part("XksProxyAuthenticationCredential").maybe("AccessKeyId") or store.access_key
    store.endpoint = params.maybe("XksProxyUriEndpoint") or store.endpoint
    store.path = params.maybe("XksProxyUriPath") or store.path
    store.vpc_service = params.maybe("XksProxyVpcEndpointServiceName") or store.vpc_service
    store.vpc_owner = params.maybe("XksProxyVpcEndpointServiceOwner") or store.vpc_owner


def _line(store: Store) -> dict[str, object]:
    out: dict[str, object] = {
        "CustomKeyStoreId": store.id,
        "CustomKeyStoreName": store.name,
        "CustomKeyStoreType": store.kind,
        "ConnectionState": store.state,
        "CreationDate": store.created,
    }
    if store.error is not None:
        out["ConnectionErrorCode"] = store.error
    if store.kind == _HSM:
        return out | {"CloudHsmClusterId": store.cluster, "TrustAnchorCertificate": store.trust_anchor}
    proxy = {
        "Connectivity": store.connectivity,
        "AccessKeyId": store.access_key,
        "UriEndpoint": store.endpoint,
        "UriPath": store.path,
        "VpcEndpointServiceName": store.vpc_service,
        "VpcEndpointServiceOwner": store.vpc_owner,
    }
    return out | {"XksProxyConfiguration": {name: value for name, value in proxy.items() if value is not None}}
