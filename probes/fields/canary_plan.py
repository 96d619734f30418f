"""The plan of planting: which requests make, show and remove a record at the vendor's front door.

    canary_plan: crm-contacts
    dataset: contacts
    headers: [[Authorization, "env:CRM_TOKEN"]]
    values:
      - {name: email, class: email, column: email, domain: mail.example}
      - {name: phone, class: phone, column: phone, prefix: "+3246"}
    row: [[id, "${id}"]]
    create: {method: POST, url: "https://crm.example/people/${id}", body: '{"email":"${email}","phone":"${phone}"}'}
    plain:  {method: POST, url: "https://crm.example/people/${id}", body: '{"country":"BE"}'}
    read:   {method: GET, url: "https://crm.example/people/${id}"}
    delete: {method: DELETE, url: "https://crm.example/people/${id}"}

`${id}` is a random UUID; `${email}` is the value of that name. They are escaped as their place needs it: in a URL by
percent, in a JSON body as JSON text, in a form as a form. A vendor that chooses the ids itself tells them in the reply
to `create`: `learn: [[id, "data.id"]]` takes them from there.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias
from urllib.parse import quote, quote_plus

from pydantic import Field, StringConstraints, model_validator

from keycheck.errors import DeploymentError
from keycheck.files.located import PROFILE_LIMITS, parse, read_bytes
from keycheck.files.problems import Problems
from keycheck.files.validate import validate
from keycheck.model.deployment import SecretRef
from keycheck.model.types import Model, Name
from probes.fields.subjects import ColumnPath

_PLACEHOLDER: Final = re.compile(r"\$\{([a-z0-9][a-z0-9._-]{0,62})\}")
ID: Final = "id"
Header: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")]
Template: TypeAlias = Annotated[str, StringConstraints(max_length=500)]
Status: TypeAlias = Annotated[int, Field(ge=200, le=599)]


class Call(Model):
    """One request, with placeholders in its URL and body."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=2000)]
    body: Annotated[str, StringConstraints(max_length=50_000)] | None = None
    content_type: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")] = "application/json"
    """Decides how values are escaped in the body: as JSON, as a form (`application/x-www-form-urlencoded`), or not."""
    ok: Annotated[tuple[Status, ...], Field(min_length=1, max_length=20)] = (200, 201, 202, 204)
    """Statuses of a reply that did what was asked."""

    @model_validator(mode="after")
    def _bodied(self) -> Self:
        if self.body is not None and self.method == "GET":
            raise ValueError("a GET has no body: choose another method")
        return self

    def placeholders(self) -> frozenset[str]:
        """Names that the request needs."""
        return frozenset(_PLACEHOLDER.findall(self.url)) | frozenset(_PLACEHOLDER.findall(self.body or ""))

    def filled(self, values: dict[str, str]) -> tuple[str, bytes]:
        """URL and body with every placeholder replaced. Raises KeyError for a name without a value."""
        url = _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), self.url)
        body = _PLACEHOLDER.sub(lambda found: self._written(values[found[1]]), self.body or "")
        return url, body.encode()

    def _written(self, value: str) -> str:
        if self.content_type.partition(";")[0].endswith("json"):
            return json.dumps(value, ensure_ascii=False)[1:-1]
        return quote_plus(value) if "form-urlencoded" in self.content_type else value


class Sown(Model):
    """One value to be made and planted."""

    name: Name
    """Of its placeholder."""
    class_: Name = Field(alias="class")
    column: ColumnPath
    domain: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{3,100}$")] = "mail.example"
    """Of e-mail addresses: one that the vendor takes, and that is ours."""
    prefix: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{0,12}$")] = ""
    """What telephone and card numbers begin with."""


class CanaryPlan(Model):
    """How canaries are planted at one data set."""

    canary_plan: Name
    dataset: Name
    """Id of the data set in the deployment in whose exports they will lie."""
    unsafe_plaintext_to_loopback: bool = False
    """Allow `http://`, to a practice service on this machine; refused for every other address."""
    headers: Annotated[tuple[tuple[Header, SecretRef], ...], Field(max_length=20)] = ()
    """Sent with every request: the test account's token, by reference."""
    values: Annotated[tuple[Sown, ...], Field(min_length=1, max_length=100)]
    row: Annotated[tuple[tuple[ColumnPath, Template], ...], Field(max_length=10)] = ()
    """What the columns of the row's identity will hold: texts with placeholders."""
    create: Call
    plain: Call | None = None
    """Makes a record with nothing sensitive in it, for comparing latencies."""
    read: Call
    delete: Call
    learn: Annotated[
        tuple[tuple[Name, Annotated[str, StringConstraints(max_length=200)]], ...], Field(max_length=5)
    ] = ()
    """(placeholder, where it stands in the JSON reply to `create`), as `data.id` or `items.0.id`."""
    gone: Annotated[tuple[Status, ...], Field(min_length=1, max_length=10)] = (404, 410)
    """Statuses by which `read` says that there is no such record."""
    seconds: Annotated[int, Field(ge=1, le=120)] = 20
    """For one request."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [value.name for value in self.values]
        if len({*names, ID}) != len(names) + 1:
            raise ValueError("each value needs a name of its own, other than `id`")
        calls = [call for call in (self.create, self.plain, self.read, self.delete) if call is not None]
        if not self.unsafe_plaintext_to_loopback and any(not call.url.startswith("https://") for call in calls):
            raise ValueError("every url must begin with https://")
        learned = {name for name, _ in self.learn}
        made = {*names, ID} - learned
        if missing := self.create.placeholders() - made:
            raise ValueError(f"`create` has the placeholder {min(missing)!r}, which nothing fills")
        if unsent := set(names) - self.create.placeholders():
            raise ValueError(f"`create` does not send the value {min(unsent)!r}")
        if self.plain is not None and (stray := self.plain.placeholders() - (made - set(names))):
            raise ValueError(f"`plain` has the placeholder {min(stray)!r}: it may hold nothing sensitive")
        row = frozenset(name for _, text in self.row for name in _PLACEHOLDER.findall(text))
        if stray := row - {ID, *names, *learned}:
            raise ValueError(f"`row` has the placeholder {min(stray)!r}, which nothing fills")
        for call, label in ((self.read, "read"), (self.delete, "delete")):
            if stray := call.placeholders() - {ID, *learned}:
                raise ValueError(f"`{label}` has the placeholder {min(stray)!r}, which nothing fills")
        return self

    def identity(self, known: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """The row's identity. Raises KeyError for a placeholder without a value."""
        return tuple((column, _PLACEHOLDER.sub(lambda found: known[found[1]], text)) for column, text in self.row)


def load_plan(path: Path) -> tuple[CanaryPlan, bytes]:
    """The plan, and its bytes. Raises DeploymentError, naming the place of everything that is wrong."""
    data = read_bytes(path, str(path), DeploymentError, PROFILE_LIMITS)
    root = parse(data, str(path), DeploymentError, PROFILE_LIMITS)
    problems = Problems(DeploymentError)
    plan = validate(root, CanaryPlan, problems)
    problems.check()
    if plan is None:
        raise DeploymentError(f"{path} is no plan of canaries", advice="see `keycheck canary schema`")
    return plan, data
