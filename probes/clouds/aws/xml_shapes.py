"""Answers in XML that keep to the service's own description (protocols rest-xml, query and ec2)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast
from xml.etree.ElementTree import Element

from probes.clouds.aws.reading import MAX_MEMBERS, MalformedError

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

_DECLARATIONS: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_WHOLE_NUMBER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_INSTANT: Final = 40
"""Characters of a time."""
_ROOTS: Final = {
    "GetBucketEncryption": "ServerSideEncryptionConfiguration",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketReplication": "ReplicationConfiguration",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjectsV2": "ListBucketResult",
}
"""Of S3, by its API reference: the description does not name them, and the SDK takes any other for an answer in which
nothing is set."""
_NESTED: Final = 64
"""Elements within each other, in parts that the description does not know."""


def undeclared(body: bytes) -> None:
    """Raises MalformedError for what declares a document type or entities: what a text means would then be said
    elsewhere, or grow without end. No service of AWS does."""
    if b"\0" in body or body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise MalformedError("not UTF-8")
    if _DECLARATIONS.search(body):
        raise MalformedError("XML that declares a document type or entities")


def check_xml(body: bytes, operation: OperationModel, room: int) -> None:
    """Raises MalformedError where the body and its elements are of other kinds than the description says: an empty
    body where there should be one, text where a structure belongs, an element twice that may be there once, a flag
    that is neither `true` nor `false`. What the description does not know is left alone: services add members."""
    shape = operation.output_shape
    if shape is None:
        return
    payload = shape.serialization.get("payload")
    inner: Shape = shape if payload is None else shape.members[payload]
    if payload is not None and inner.type_name not in ("structure", "list", "map"):
        return
    inside = [member for member in shape.members.values() if "location" not in member.serialization]
    if shape.members and not inside:
        return
    root = _parsed(body)
    if _tag(root) in ("Error", "ErrorResponse", "Response"):
        raise MalformedError("an error in the form of a good answer")
    expected = _roots(operation)
    if expected and _tag(root) not in expected:
        raise MalformedError(f"not {expected[0]}")
    if operation.name == "GetBucketLocation":
        # The one answer whose root is its member: the SDK has a reader of its own for it.
        _nothing_below(root, "LocationConstraint")
        return
    if (wrapper := shape.serialization.get("resultWrapper")) is not None:
        found = [child for child in root if _tag(child) == wrapper]
        if len(found) != 1:
            raise MalformedError(f"{wrapper} is not there once")
        root = found[0]
    _check([root], inner, room)


def _roots(operation: OperationModel) -> tuple[str, ...]:
    """Names that the root may have; empty: any."""
    if operation.service_model.resolved_protocol != "rest-xml":
        return (f"{operation.name}Response",)
    documented = _ROOTS.get(operation.name)
    # Emulators that are made from the description alone name it after the operation.
    return () if documented is None else (documented, f"{operation.name}Result", f"{operation.name}Response")


def _parsed(body: bytes) -> Element:
    parser: ElementTree.XMLPullParser[Element] = ElementTree.XMLPullParser(("start", "end"))
    depth = 0
    root: Element | None = None
    try:
        parser.feed(body.decode("utf-8"))
        parser.close()
        events = cast("Iterator[tuple[str, Element]]", parser.read_events())
        for event, element in events:
            root = element if root is None else root
            depth += 1 if event == "start" else -1
            if depth > _NESTED:
                raise MalformedError("nested too deeply")
    except UnicodeDecodeError as error:
        raise MalformedError("not UTF-8") from error
    except ElementTree.ParseError as error:
        raise MalformedError("not XML") from error
    if root is None:
        raise MalformedError("not XML")
    return root


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _check(elements: list[Element], shape: Shape, room: int) -> None:
    """`elements` are all of one name in their parent: more than one fits lists that are flattened alone."""
    if room == 0:
        raise MalformedError("nested too deeply")
    if shape.type_name in ("list", "map") and shape.serialization.get("flattened"):
        _flattened(elements, shape, room)
        return
    if len(elements) != 1:
        raise MalformedError(f"{shape.name} is there {len(elements)} times")
    element = elements[0]
    match shape.type_name:
        case "structure":
            _structure(element, cast("StructureShape", shape), room)
        case "list":
            member = cast("ListShape", shape).member
            _no_text(element, shape)
            name = member.serialization.get("name", "member")
            if len(element) > MAX_MEMBERS or any(_tag(child) != name for child in element):
                raise MalformedError(f"{shape.name} is no list of at most {MAX_MEMBERS} of {name}")
            for child in element:
                _check([child], member, room - 1)
        case "map":
            _no_text(element, shape)
            for entry in element:
                _entry(entry, cast("MapShape", shape), room - 1)
        case _:
            _scalar(element, shape)


def _structure(element: Element, shape: StructureShape, room: int) -> None:
    _no_text(element, shape)
    by_name: dict[str, list[Element]] = {}
    for child in element:
        by_name.setdefault(_tag(child), []).append(child)
    for name, member in shape.members.items():
        if "location" in member.serialization or member.serialization.get("xmlAttribute"):
            continue
        if found := by_name.get(_name_of(name, member)):
            _check(found, member, room - 1)


def _name_of(name: str, member: Shape) -> str:
    if member.type_name == "list" and member.serialization.get("flattened"):
        inner = cast("ListShape", member).member.serialization.get("name")
        if inner is not None:
            return str(inner)
    return str(member.serialization.get("name", name))


def _flattened(elements: list[Element], shape: Shape, room: int) -> None:
    if len(elements) > MAX_MEMBERS:
        raise MalformedError(f"{shape.name} has more than {MAX_MEMBERS} members")
    for element in elements:
        if shape.type_name == "list":
            _check([element], cast("ListShape", shape).member, room - 1)
        else:
            _entry(element, cast("MapShape", shape), room - 1)


def _entry(entry: Element, shape: MapShape, room: int) -> None:
    names = (shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value"))
    if sorted(_tag(child) for child in entry) != sorted(names):
        raise MalformedError(f"{shape.name} has an entry that is no pair")
    for child in entry:
        _check([child], shape.key if _tag(child) == names[0] else shape.value, room)


def _scalar(element: Element, shape: Shape) -> None:
    _nothing_below(element, shape.name)
    text = (element.text or "").strip()
    match shape.type_name:
        case "boolean":
            fits = text in ("true", "false")
        case "integer" | "long":
            fits = _WHOLE_NUMBER.fullmatch(text) is not None
        case "timestamp":
            fits = 0 < len(text) <= _INSTANT
        case _:
            fits = True
    if not fits:
        raise MalformedError(f"{shape.name} is no {shape.type_name}")


def _nothing_below(element: Element, name: str) -> None:
    if len(element):
        raise MalformedError(f"{name} is a structure where a value belongs")


def _no_text(element: Element, shape: Shape) -> None:
    texts = [element.text, *(child.tail for child in element)]
    if any(text is not None and text.strip() for text in texts):
        raise MalformedError(f"{shape.name} is text where a {shape.type_name} belongs")
