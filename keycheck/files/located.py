"""YAML as a tree of located text: every key and value knows its file, line and column.

Built from PyYAML's events, so that nothing is ever typed by YAML (`NO` stays text, never False). Refused:
duplicate keys, tags, anchors, aliases, merge keys, directives, several documents, keys that are not text,
invisible control and direction characters, and anything over the limits. The input is hostile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from keycheck.files.problems import FileError, Place, Problems
from keycheck.model.types import vendor_text

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read before it is refused."""

    size: int = MIB
    """Bytes."""
    depth: int = 30
    nodes: int = 200_000


PROFILE_LIMITS: Final = Limits()
DEPLOYMENT_LIMITS: Final = Limits(size=16 * MIB)


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar, as it was written and never typed."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value."""

    key: Text
    value: Node


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping; keys are unique."""

    entries: tuple[Entry, ...]
    place: Place

    def entry(self, key: str) -> Entry | None:
        """The entry of a key."""
        return next((entry for entry in self.entries if entry.key.text == key), None)

    def get(self, key: str) -> Node | None:
        """The value of a key."""
        entry = self.entry(key)
        return entry.value if entry else None


Node: TypeAlias = Text | Items | Map


def plain(node: Node) -> object:
    """The node as str, list and dict, without places."""
    match node:
        case Text(text=text):
            return text
        case Items(items=items):
            return [plain(item) for item in items]
        case Map(entries=entries):
            return {entry.key.text: plain(entry.value) for entry in entries}


def texts(node: Node) -> Iterator[Text]:
    """Every scalar below a node, keys included."""
    match node:
        case Text():
            yield node
        case Items(items=items):
            for item in items:
                yield from texts(item)
        case Map(entries=entries):
            for entry in entries:
                yield entry.key
                yield from texts(entry.value)


def read_bytes(path: Path, label: str, error: FileError, limits: Limits) -> bytes:
    """A regular file's bytes, at most `limits.size` of them; raises `error` with advice."""
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise error(f"{label}: there is no such file", advice="check the path") from None
    except OSError as cause:
        raise error(
            f"{label}: cannot be read ({cause.strerror})", advice="check the path and its permissions"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise error(f"{label}: is not a regular file", advice="name a YAML file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limits.size + 1)
    if len(data) > limits.size:
        raise error(
            f"{label}: is larger than {limits.size} bytes",
            advice="split the file, or check that it is the right one",
        )
    return data


def parse(data: bytes, label: str, error: FileError, limits: Limits = PROFILE_LIMITS) -> Map:
    """The file as a located mapping; raises `error` with every problem that YAML itself shows."""
    problems = Problems(error)
    start = Place(label, 1, 1)
    if len(data) > limits.size:
        raise problems.stop(start, f"is larger than {limits.size} bytes", "split the file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as cause:
        before = data[: cause.start].decode("utf-8").split("\n")
        place = Place(label, len(before), len(before[-1]) + 1)
        raise problems.stop(place, "is not UTF-8 text", "save the file as UTF-8") from None
    root = _Builder(text, label, problems, limits).document()
    problems.check()
    if not isinstance(root, Map):
        raise problems.stop(root.place if root else start, "expected a mapping", "write `key: value` lines")
    return root


class _Builder:
    """Walks the parser's events once. Recursion is bounded by `limits.depth`."""

    def __init__(self, text: str, label: str, problems: Problems, limits: Limits) -> None:
        # The Python parser reads the same language, some thirty times slower.
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        self._events = iter(yaml.parse(text, Loader=loader))
        self._label = label
        self._problems = problems
        self._limits = limits
        self._nodes = 0

    def document(self) -> Node | None:
        """The only document of the stream; None when it is empty."""
        root: Node | None = None
        documents = 0
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            documents += 1
            place = self._place(event)
            if event.version or event.tags:
                self._problems.add(place, "a %YAML or %TAG directive is not allowed", "delete the line")
            if documents > 1:
                raise self._problems.stop(
                    place, "a second document begins here", "put each document into a file of its own"
                )
            root = self._node(self._next(), depth=1)
        return root

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.MarkedYAMLError as cause:
            mark = cause.problem_mark or cause.context_mark
            place = Place(self._label, mark.line + 1, mark.column + 1) if mark else Place(self._label, 1, 1)
            what = vendor_text(cause.problem or "cannot be parsed", 200)
            raise self._problems.stop(
                place, f"is not valid YAML: {what}", "check indentation, colons and quotes here"
            ) from None
        except (yaml.YAMLError, UnicodeError):
            raise self._problems.stop(
                Place(self._label, 1, 1),
                "holds a character that YAML does not allow",
                "save the file as plain UTF-8 text without control characters",
            ) from None

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._label, mark.line + 1, mark.column + 1) if mark else Place(self._label, 1, 1)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event)
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise self._problems.stop(place, f"more than {self._limits.nodes} values", "split the file")
        if depth > self._limits.depth:
            raise self._problems.stop(place, f"nested deeper than {self._limits.depth} levels", "flatten the file")
        if isinstance(event, yaml.AliasEvent):
            raise self._problems.stop(
                place, "an alias (`*name`) is not allowed", "write the value out, or use a parameter"
            )
        if getattr(event, "anchor", None) is not None:
            self._problems.add(place, "an anchor (`&name`) is not allowed", "delete it")
        if getattr(event, "tag", None) is not None:
            self._problems.add(place, "a tag (`!name`) is not allowed", "delete it; keycheck types the values")
        if isinstance(event, yaml.ScalarEvent):
            return self._text(event, place)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            return Items(tuple(items), place)
        return self._mapping(place, depth)

    def _mapping(self, place: Place, depth: int) -> Map:
        entries: dict[str, Entry] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Text):
                raise self._problems.stop(key.place, "a key must be plain text", "write `key: value`")
            value = self._node(self._next(), depth + 1)
            if not key.text:
                self._problems.add(key.place, "a key is empty", "write `key: value`")
            elif key.text == "<<":
                self._problems.add(key.place, "a merge key (`<<`) is not allowed", "write the keys out")
            elif key.text in entries:
                first = entries[key.text].key.place
                self._problems.add(
                    key.place,
                    f"the key `{vendor_text(key.text, 60)}` stands twice",
                    f"delete one; the first is on line {first.line}",
                )
            entries.setdefault(key.text, Entry(key, value))
        return Map(tuple(entries.values()), place)

    def _text(self, event: yaml.ScalarEvent, place: Place) -> Text:
        if any(_hidden(char) for char in event.value):
            self._problems.add(
                place,
                "the text holds a control or direction character",
                "delete it; it cannot be seen or shown",
            )
        return Text(event.value, place)


def _hidden(char: str) -> bool:
    """Control characters, lone surrogates, and the marks that make text read in another order."""
    code = ord(char)
    return (
        (code < 0x20 and char not in "\n\t")
        or 0x7F <= code <= 0x9F
        or 0xD800 <= code <= 0xDFFF
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or code == 0xFEFF
    )
