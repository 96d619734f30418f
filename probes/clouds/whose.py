"""Which credential a plan would use: whoever runs a deployment that somebody else wrote must see that beforehand."""

from __future__ import annotations

from keycheck.model.probe import Io


def credential_of(ref: str | None, io: Io) -> str:
    """The credential that the deployment's identity `ref` stands for, from where it comes, and everywhere that it may
    be sent to."""
    identity = next((each for each in io.identities if each.id == ref), None)
    if identity is None:
        shown = ["the SDK's own chain"]
    else:
        stated = identity.model_dump(exclude={"id", "provider"}, exclude_defaults=True)
        shown = [f"identity {identity.id}", *(f"{name} {value}" for name, value in stated.items())]
    through = {"proxy": io.vantage.proxy, "ca_bundle": io.vantage.ca_bundle}
    return ", ".join([*shown, *(f"{name} {value}" for name, value in through.items() if value)])
