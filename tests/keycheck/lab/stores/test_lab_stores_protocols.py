"""What the lab serialises is what botocore parses, and what botocore serialises is what the lab reads, for any values
of any operation that is served: the service models are the oracle, not the lab's reading of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.lab.aws.wire import Request
from keycheck.lab.aws_stores.catalogue import SERVED, Catalogue
from keycheck.lab.aws_stores.parameters import parameters
from keycheck.lab.aws_stores.serialised import serialised
from keycheck.lab.aws_stores.service import HANDLERS
from keycheck.lab.errors import LabError

CATALOGUE = Catalogue()
SIGNED = {name: signed for signed, name in SERVED.items() if signed != "s3express"}
OPERATIONS = [(service, name) for service, handlers in sorted(HANDLERS.items()) for name in sorted(handlers)]
TEXT = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
MOMENTS = st.integers(0, 2**31 - 1).map(lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
SPECIAL = {
    # the SDK reads it out of the root, after parsing
    "GetBucketLocation",
    # the body is text by itself; no bucket of the lab has a policy
    "GetBucketPolicy",
}


def values(shape: Shape, depth: int = 4) -> st.SearchStrategy[object]:
    """Anything that fits a shape; structures that go too deep are left out."""
    match shape:
        case StructureShape():
            if depth == 0:
                return st.nothing()
            optional = {}
            for name, member in shape.members.items():
                found = values(member, depth - 1)
                if not found.is_empty:
                    optional[name] = found
            required = {name: optional.pop(name) for name in shape.required_members if name in optional}
            return st.fixed_dictionaries(required, optional=optional)
        case ListShape():
            # what is empty has no place in a form, and an empty flattened list none in XML
            return st.lists(values(shape.member, depth).filter(plain), min_size=1, max_size=3)
        case MapShape():
            return st.dictionaries(TEXT, values(shape.value, depth), min_size=1, max_size=2)
        case _:
            match shape.type_name:
                case "string" | "character":
                    return st.sampled_from(shape.enum) if shape.enum else TEXT
                case "integer" | "long":
                    return st.integers(1, 1000)
                case "float" | "double":
                    return st.integers(1, 1000).map(float)
                case "boolean":
                    return st.booleans()
                case "timestamp":
                    return MOMENTS
                case "blob":
                    return st.nothing()
    return st.nothing()


def plain(value: object) -> object:
    """Times in one zone, and without what is empty, which has no place on the wire."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case dict():
            members = {name: plain(item) for name, item in value.items()}
            return {name: item for name, item in members.items() if item not in ({}, [])}
        case list():
            return [item for item in map(plain, value) if item not in ({}, [])]
        case _:
            return value


@pytest.mark.parametrize(("service", "name"), [each for each in OPERATIONS if each[1] not in SPECIAL])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_what_the_lab_answers_is_what_the_sdk_reads(service: str, name: str, data: st.DataObject) -> None:
    model = CATALOGUE.model(service)
    operation = model.operation_model(name)
    output = data.draw(values(operation.output_shape))
    answer = serialised(operation, output, "r-1")
    response = {
        "status_code": answer.status,
        "headers": HeadersDict({"Content-Type": answer.content_type, **answer.headers}),
        "body": answer.body,
    }
    read = create_parser(model.protocol).parse(response, operation.output_shape)
    read.pop("ResponseMetadata")
    if "ContentType" not in output:
        read.pop("ContentType", None)  # of the answer itself, which the SDK takes for HeadObject's
    assert plain(read) == plain(output)


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_what_the_sdk_asks_is_what_the_lab_reads(service: str, name: str, data: st.DataObject) -> None:
    model = CATALOGUE.model(service)
    operation = model.operation_model(name)
    asked = {} if operation.input_shape is None else data.draw(values(operation.input_shape))
    request = _request(
        create_serializer(model.protocol, include_validation=False).serialize_to_request(asked, operation)
    )
    called = CATALOGUE.called("s3express" if name == "ListDirectoryBuckets" else SIGNED[service], request)
    assert called is not None
    assert called.operation.name == name
    assert plain(parameters(called, request)) == plain(asked)


def _request(made: Mapping[str, object]) -> Request:
    path, query, body = made["url_path"], made.get("query_string"), made["body"]
    if query:
        text = query if isinstance(query, str) else urlencode(query, doseq=True)
        path = f"{path}{'&' if '?' in path else '?'}{text}"
    if isinstance(body, Mapping):
        body = urlencode(body, doseq=True)
    if isinstance(body, str):
        body = body.encode()
    headers = {name.lower(): str(value) for name, value in made["headers"].items()}
    return Request(made["method"], path, headers, body or b"")


def test_a_member_that_aws_does_not_have_is_a_defect_of_the_lab() -> None:
    operation = CATALOGUE.model("rds").operation_model("DescribeDBInstances")
    with pytest.raises(LabError, match="has no DBInstanceRegion"):
        serialised(operation, {"DBInstances": [{"DBInstanceRegion": "eu-central-1"}]}, "r-1")
