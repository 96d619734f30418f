"""Finding a profile's file and the files that it extends, own first. Bounded; cycles are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from keycheck.errors import ProfileError
from keycheck.files.located import PROFILE_LIMITS, Map, Text, parse, read_bytes
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.files.shape import ProfileFile
from keycheck.files.validate import validate

LONGEST: Final = 8
"""Files in a chain of `extends`."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PACKAGE: Final = "profiles"


@dataclass(frozen=True, slots=True)
class Link:
    """One file of the chain, parsed and checked by itself."""

    file: ProfileFile
    root: Map
    data: bytes
    label: str


@dataclass(frozen=True, slots=True)
class _Found:
    data: bytes
    label: str
    identity: str
    directory: Path | None
    """Where the file's own relative paths start; None for a shipped profile, which has none."""


def shipped_profiles() -> tuple[str, ...]:
    """The names of the profiles that come with keycheck, sorted."""
    listed = (entry.name for entry in resources.files(_PACKAGE).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in listed if name.endswith(".yaml")))


def shipped_text(name: str) -> bytes:
    """The bytes of a shipped profile; raises ProfileError for a name that does not ship."""
    if name not in shipped_profiles():
        raise ProfileError(
            f"there is no shipped profile `{name}`", advice=suggestion(name, shipped_profiles(), "profile")
        )
    return resources.files(_PACKAGE).joinpath(f"{name}.yaml").read_bytes()


def load_chain(name_or_path: str, search: Sequence[Path]) -> tuple[Link, ...]:
    """The profile's file, then the file it extends, and so on; raises ProfileError with the place."""
    found = _find(name_or_path, Path(), search)
    chain: list[Link] = []
    seen: set[str] = set()
    while True:
        seen.add(found.identity)
        link = _read(found)
        if any(link.file.profile == earlier.file.profile for earlier in chain):
            raise _stop(
                _place(link.root, "profile"),
                f"an heir of this file is called `{link.file.profile}` too",
                "give each profile a name of its own",
            )
        chain.append(link)
        if link.file.extends is None:
            return tuple(chain)
        place = _place(link.root, "extends")
        if len(chain) == LONGEST:
            raise _stop(place, f"more than {LONGEST} profiles extend each other", "shorten the chain")
        if found.directory is None and _is_path(link.file.extends):
            raise _stop(place, "a shipped profile extends a path", "name a shipped profile")
        if Path(link.file.extends).is_absolute():
            raise _stop(place, "`extends` is an absolute path", "write a path relative to this file")
        try:
            found = _find(link.file.extends, found.directory or Path(), search)
        except ProfileError as cause:
            raise ProfileError(f"{place}: {cause}", advice=cause.advice) from None
        if found.identity in seen:
            raise _stop(place, "these profiles extend each other in a circle", "take one `extends` away")


def _is_path(reference: str) -> bool:
    return "/" in reference or "\\" in reference or reference.endswith((".yaml", ".yml"))


def _find(reference: str, directory: Path, search: Sequence[Path]) -> _Found:
    if _is_path(reference):
        return _from_path(directory / reference)
    if not _NAME.fullmatch(reference):
        raise ProfileError(
            "this is neither the name of a profile nor a path",
            advice=f"write one of {', '.join(shipped_profiles())}, or a path such as ./vendor.yaml",
        )
    found = [_shipped(reference)] if reference in shipped_profiles() else []
    found += [_from_path(path) for folder in search if (path := folder / f"{reference}.yaml").is_file()]
    if not found:
        known = {*shipped_profiles(), *(path.stem for folder in search for path in folder.glob("*.yaml"))}
        raise ProfileError(f"there is no profile `{reference}`", advice=suggestion(reference, known, "profile"))
    if other := next((one for one in found if one.data != found[0].data), None):
        raise ProfileError(
            f"`{reference}` names two different profiles: {found[0].label} and {other.label}",
            advice=f"write the path, e.g. {other.label}, or rename one",
        )
    return found[0]


def _shipped(name: str) -> _Found:
    return _Found(shipped_text(name), f"{_PACKAGE}/{name}.yaml", f"shipped:{name}", None)


def _from_path(path: Path) -> _Found:
    data = read_bytes(path, str(path), ProfileError, PROFILE_LIMITS)
    return _Found(data, str(path), str(path.resolve()), path.parent)


def _read(found: _Found) -> Link:
    root = parse(found.data, found.label, ProfileError, PROFILE_LIMITS)
    problems = Problems(ProfileError)
    file = validate(root, ProfileFile, problems)
    problems.check()
    if file is None:
        raise RuntimeError("a model was refused without a problem")
    return Link(file, root, found.data, found.label)


def _place(root: Map, key: str) -> Place:
    value = root.get(key)
    return value.place if isinstance(value, Text) else root.place


def _stop(place: Place, what: str, mend: str) -> ProfileError:
    return ProfileError(f"{place}: {what}", advice=mend)
