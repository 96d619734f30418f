"""Who holds the network of an address, by a database in MaxMind's format. A third party's guess, never more.

The format: MaxMind DB File Format Specification 2.0. Names of fields differ by vendor: those of MaxMind (Country, City,
ASN, ISP), DB-IP and IPinfo are known; others say nothing. Read by the pure Python reader, which bounds hostile files.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from keycheck.evidence.files import read_bounded
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.residency.endpoint_facts import NetworkOwner, NotAsked

if TYPE_CHECKING:
    from maxminddb import Reader

MAX_BYTES: Final = 1 << 29
Said: TypeAlias = Mapping[str, object]
_DAMAGE: Final = (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError, MemoryError)


class Owners:
    """A database in memory."""

    def __init__(self, reader: Reader, digest: str) -> None:
        self._reader = reader
        self._digest = digest
        metadata = reader.metadata()
        self._name = vendor_text(str(metadata.database_type), 200)
        self._built = _instant(metadata.build_epoch)

    def owner(self, address: str) -> NetworkOwner | Unseen:
        """What it says of an address; with nothing in it where it does not hold the address."""
        from maxminddb import InvalidDatabaseError

        try:
            record = self._reader.get(address)
        except InvalidDatabaseError as error:
            return Unseen(reason=Reason.MALFORMED, detail=vendor_text(f"the database of networks is damaged: {error}"))
        except _DAMAGE as error:
            detail = f"the database of networks says nothing of {address}: {type(error).__name__}"
            return Unseen(reason=Reason.MALFORMED, detail=vendor_text(detail))
        said: Said = dict(record.items()) if isinstance(record, dict) else {}
        return NetworkOwner(
            database=self._name,
            built=self._built,
            digest=self._digest,
            country=_country(said),
            organization=_text(said, "autonomous_system_organization", "organization", "isp", "as_name", "name"),
            system=_system(said),
        )


def read_owners(path: Path) -> Owners:
    """The database in a file. Raises OSError, and ValueError for one that is damaged or too large."""
    from maxminddb import MODE_FD, InvalidDatabaseError, open_database

    data = read_bounded(path, MAX_BYTES)
    try:
        return Owners(open_database(_named(data, path), MODE_FD), hashlib.sha256(data).hexdigest())
    except (InvalidDatabaseError, *_DAMAGE) as error:
        raise ValueError(f"no MaxMind database: {error}") from error


def owner_of(owners: Owners | NotAsked | Unseen, address: str) -> NetworkOwner | NotAsked | Unseen:
    """What the database says of an address, if there is one."""
    return owners.owner(address) if isinstance(owners, Owners) else owners


def _named(data: bytes, path: Path) -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = str(path)
    return file


def _country(said: Said) -> str | None:
    for key in ("country", "registered_country"):
        one = said.get(key)
        code = _code(one.get("iso_code") if isinstance(one, Mapping) else one)
        if code is not None:
            return code
    return _code(said.get("country_code"))


def _code(value: object) -> str | None:
    return value.upper() if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha() else None


def _text(said: Said, *keys: str) -> str | None:
    for where in (said, said.get("traits")):
        if isinstance(where, Mapping):
            for key in keys:
                if isinstance(value := where.get(key), str) and value:
                    return vendor_text(value)
    return None


def _system(said: Said) -> int | None:
    for where in (said, said.get("traits")):
        if not isinstance(where, Mapping):
            continue
        for key in ("autonomous_system_number", "asn", "as_number"):
            value = where.get(key)
            text = value.upper().removeprefix("AS") if isinstance(value, str) else value
            if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 10:
                text = int(text)
            if isinstance(text, int) and 0 <= text < 1 << 32:
                return text
    return None


def _instant(epoch: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(epoch, UTC) if isinstance(epoch, int) else None
    except (OverflowError, OSError, ValueError):
        return None
