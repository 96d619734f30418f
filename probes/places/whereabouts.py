"""What a deployment says of where an endpoint is: claims, and what may be asked to test them."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from keycheck.model.types import Model
from probes.places.countries import known_country

Provider: TypeAlias = Literal["aws", "gcp", "azure", "oci", "other"]
RegionName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,39}$")]
"""As the provider writes it; a border group of AWS counts as one."""
Cdn: TypeAlias = Literal["cloudfront", "cloudflare", "fastly", "akamai", "azure-front-door", "other"]
HttpPath: TypeAlias = Annotated[str, StringConstraints(pattern=r"^/[!-~]{0,500}$")]
NONCE = "{nonce}"
"""Where a fresh random text goes in a path."""


class Nameserver(Model):
    """A DNS server that is asked, besides the system's own."""

    address: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f.:]{2,45}(#\d{1,5})?$")]
    """`192.0.2.53`, or `192.0.2.53#5353` for another port."""
    role: Literal["recursive", "authoritative"] = "recursive"


class ClientSubnet(Model):
    """A network in whose name is asked (RFC 7871): whether its clients are sent elsewhere."""

    network: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f.:]{2,45}/\d{1,3}$")]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), AfterValidator(known_country)]
    """ISO 3166 code of where these clients are, as declared."""


class Fresh(Model):
    """A request that only the origin can answer: no cache, no edge."""

    path: HttpPath
    """Holds `{nonce}`, which is replaced by fresh random text."""
    echoed: bool = True
    """The answer's body holds the nonce; otherwise only its head is looked at."""

    @model_validator(mode="after")
    def _holds_nonce(self) -> Self:
        if NONCE not in self.path:
            raise ValueError("the path of a fresh request holds {nonce}")
        return self


class Origin(Model):
    """The server behind a content delivery network, as the vendor names it."""

    provider: Provider
    region: RegionName
    address: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f.:]{2,45}$")] | None = None
    """Where it answers directly, where it does."""


class Whereabouts(Model):
    """Where an endpoint is said to be."""

    provider: Provider | None = None
    region: RegionName | None = None
    cdn: Cdn | None = None
    """The content delivery network in front of it, by contract."""
    origin: Origin | None = None
    fresh: Fresh | None = None
    static: HttpPath | None = None
    """A path that an edge answers by itself, for the comparison with `fresh`."""
    nameservers: Annotated[tuple[Nameserver, ...], Field(max_length=16)] = ()
    subnets: Annotated[tuple[ClientSubnet, ...], Field(max_length=32)] = ()

    @model_validator(mode="after")
    def _behind_something(self) -> Self:
        if self.origin is not None and self.cdn is None:
            raise ValueError("an `origin` stands behind a `cdn`: name that too")
        if (self.region is None) != (self.provider is None):
            raise ValueError("`provider` and `region` go together")
        return self
