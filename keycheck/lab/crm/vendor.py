"""The practice vendor as a drill meets it: one or several pods behind one port, over one store and one key."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self, assert_never

from keycheck.lab.crm.contacts import Contact, Store, record_context
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.doors import Door, Doors
from keycheck.lab.crm.envelope import Context, Envelope
from keycheck.lab.crm.index import Index
from keycheck.lab.crm.keeping import Breaker, Contacts, Halves, OwnKey, WithAnswers, WithCanaries, WithCopy
from keycheck.lab.crm.manner import Binding, Keeps, Manner, OnRotation, Trouble
from keycheck.lab.crm.pod import STATUS_RECORD, STATUS_TENANT, Extract, Pod
from keycheck.lab.crm.service import KEY_UNAVAILABLE, Answer, serve
from keycheck.lab.crm.tenants import ByTenant
from keycheck.lab.crm.traffic import contact
from keycheck.lab.crm.turning import Forgetting, Turning
from keycheck.lab.errors import LabError
from keycheck.lab.key_sites import CANARIES
from keycheck.model.types import Entropy

TENANT: Final = "acme"
AUTHORIZATION_FILE: Final = "vendor-authorization"
"""Holds the whole value of the Authorization header."""
CONSTANT_CONTEXT: Final = {"purpose": "contacts"}
SUPPORT_CONTEXT: Final = {"purpose": "support"}
"""What the second copy of a vendor with an undeclared principal is bound to."""
_MANY: Final = 1_000_000
_HTML: Final = (
    b"<!doctype html><html><head><title>Maintenance</title></head><body><h1>We are back soon</h1></body></html>\n"
)


class Vendor:
    """Serves while it is entered. ``home`` (a directory) receives its stores and the token's file.

    ``records`` ordinary contacts are there from the beginning. ``entropy`` makes the token and the vendor's own keys;
    ``choice`` picks pods; ``clock``: seconds that only grow. Raise LabError where the plan needs a door that is
    missing or a port cannot be had, and KeyUnavailable when the key does not serve at the start.
    """

    def __init__(
        self,
        home: Path,
        manner: Manner,
        doors: Doors,
        *,
        records: int = 2,
        entropy: Entropy = os.urandom,
        choice: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.home = home
        self.manner = manner
        self.url = ""
        """`http://127.0.0.1:port`; empty while it does not serve."""
        self.status_value = f"status-{entropy(9).hex()}"
        """Unique text of the status record."""
        self._doors = doors
        self._records = records
        self._entropy = entropy
        self._choice = choice or random.Random()
        self._clock = clock
        self._held = ExitStack()
        self._pods: tuple[Pod, ...] = ()
        self._turn = 0
        self._trouble = Trouble.NONE
        self._troubled_until = 0.0
        self._lock = threading.Lock()

    @property
    def authorization(self) -> Path:
        """The file that holds the value of the Authorization header."""
        return self.home / AUTHORIZATION_FILE

    def context(self, tenant: str, record: str, field: str) -> Context:
        """What a sealed field is bound to."""
        match self.manner.binding:
            case Binding.RECORD:
                return record_context(tenant, record, field)
            case Binding.CONSTANT:
                return CONSTANT_CONTEXT
            case Binding.NOTHING:
                return {}
            case _:
                assert_never(self.manner.binding)

    def switch(self, trouble: Trouble) -> None:
        """From now on the front door answers with this; `Trouble.NONE` ends it."""
        with self._lock:
            self._trouble = trouble
            self._troubled_until = 0.0

    def workspace(self, tenant: str) -> Path:
        """Open one more workspace, and give the file that holds its Authorization header."""
        token = self._entropy(24).hex()
        file = self.home / f"{AUTHORIZATION_FILE}-{tenant}"
        _write(file, token)
        for pod in self._pods:
            pod.admit(token, tenant)
        return file

    def respond(self, method: str, path: str, body: bytes = b"", authorization: str = "") -> Answer:
        """One request, by the next pod. Raises nothing."""
        with self._lock:
            trouble = self._trouble
            if trouble is Trouble.NONE and self._clock() < self._troubled_until:
                trouble = self.manner.trouble_on_loss
            at = self._choice.randrange(len(self._pods)) if self.manner.at_random else self._turn % len(self._pods)
            self._turn += 1
        if trouble is not Trouble.NONE:
            return _troubled(trouble)
        given = self._pods[at].respond(method, path, body, authorization)
        return self._lost() if (given.status, given.body) == (503, KEY_UNAVAILABLE) else given

    def __enter__(self) -> Self:
        with ExitStack() as held:
            self._build(held)
            self.url = held.enter_context(serve(self))
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.url = ""
        self._held.close()

    def _lost(self) -> Answer:
        if self.manner.trouble_on_loss is not Trouble.NONE:
            with self._lock:
                self._troubled_until = self._clock() + self.manner.trouble_lasts
            return _troubled(self.manner.trouble_on_loss)
        if not self.manner.declared_words:
            return _troubled(Trouble.OUTAGE)
        return Answer(503, {"Content-Type": "application/json", "Cache-Control": "no-store"}, KEY_UNAVAILABLE)

    def _build(self, held: ExitStack) -> None:
        token = self._entropy(24).hex()
        _write(self.authorization, token)
        store = self._store(held, "contacts")
        copy = self._copy(held)
        control = Crm(self._doors.control.envelope(0.0), self._store(held, "vendor"))
        control.put(Contact(STATUS_TENANT, STATUS_RECORD, name="status", notes=self.status_value))
        index = Index(self._entropy, in_clear=self.manner.indexed_in_clear)
        extract = Extract() if self.manner.exported_in_clear else None
        known: dict[tuple[str, str], Contact] = {}
        self._pods = tuple(
            Pod(
                self._keeping(self._sealing(age, store), copy, known),
                {token: TENANT},
                status=control,
                index=index,
                extract=extract,
            )
            for age in self.manner.cache_ages
        )
        for number in range(self._records):
            self._pods[number % len(self._pods)].contacts.put(contact(number, TENANT))

    def _store(self, held: ExitStack, name: str) -> Store:
        store = Store(self.home / f"{name}.sqlite")
        held.callback(store.close)
        return store

    def _sealing(self, age: float, store: Store) -> Contacts:
        return self._by_tenant(lambda doors: Crm(self._envelope(doors.main, age), store, context=self.context))

    def _by_tenant(self, make: Callable[[Doors], Crm]) -> Contacts:
        shared, own = make(self._doors), self._doors.canaries
        return shared if own is None else ByTenant(shared, make(own), CANARIES)

    def _envelope(self, door: Door, age: float) -> Envelope:
        envelope: Envelope = door.envelope(age, self.manner.messages)
        match self.manner.on_rotation:
            case OnRotation.NOTHING:
                pass
            case OnRotation.OWN_KEY:
                envelope = Turning(envelope, OwnKey(self._entropy), door.material)
            case OnRotation.FORGET:
                envelope = Forgetting(envelope, door.material)
            case _:
                assert_never(self.manner.on_rotation)
        if self.manner.one_data_key:
            envelope = Halves(door.envelope(float("inf"), _MANY), envelope)
            envelope.seal(b"first", self.context(TENANT, "first", "name"))
        return Breaker(envelope, self.manner.broken_for, self._clock) if self.manner.broken_for else envelope

    def _copy(self, held: ExitStack) -> Contacts | None:
        match self.manner.keeps:
            case Keeps.PLAINTEXT:
                return Crm(OwnKey(self._entropy), self._store(held, "availability"), sealed=())
            case Keeps.OWN_KEY:
                return Crm(OwnKey(self._entropy), self._store(held, "fallback"))
            case Keeps.UNDECLARED:
                support = self._store(held, "support")
                return self._by_tenant(lambda doors: _second(doors, support))
            case Keeps.NOTHING | Keeps.ANSWERS | Keeps.CANARIES:
                return None
            case _:
                assert_never(self.manner.keeps)

    def _keeping(self, crm: Contacts, copy: Contacts | None, known: dict[tuple[str, str], Contact]) -> Contacts:
        if copy is not None:
            return WithCopy(crm, copy, writes_on=self.manner.keeps is Keeps.OWN_KEY)
        if self.manner.keeps is Keeps.ANSWERS:
            return WithAnswers(crm)
        return WithCanaries(crm, CANARIES, known) if self.manner.keeps is Keeps.CANARIES else crm


def _second(doors: Doors, store: Store) -> Crm:
    """A second copy, which a principal reads that nobody declared."""
    if doors.undeclared is None:
        raise LabError("the vendor has no second way to the key", advice="give Doors.undeclared a door of its own")
    # sealed as the declared principal, so that the other shows only once it reads
    envelope = Halves(doors.main.envelope(0.0), doors.undeclared.envelope(0.0))
    return Crm(envelope, store, context=lambda *_: SUPPORT_CONTEXT)


def _write(file: Path, token: str) -> None:
    file.touch(mode=0o600)
    file.write_text(f"Bearer {token}", encoding="ascii")


def _troubled(trouble: Trouble) -> Answer:
    json, html = {"Content-Type": "application/json"}, {"Content-Type": "text/html; charset=utf-8"}
    match trouble:
        case Trouble.OUTAGE:
            return Answer(503, json, b'{"error":"service unavailable"}\n')
        case Trouble.MAINTENANCE:
            return Answer(503, html | {"Retry-After": "120"}, _HTML)
        case Trouble.MAINTENANCE_OK:
            return Answer(200, html, _HTML)
        case Trouble.UNAUTHORIZED:
            return Answer(401, json | {"WWW-Authenticate": "Bearer"}, b'{"error":"unauthorized"}\n')
        case Trouble.THROTTLED:
            return Answer(429, json | {"Retry-After": "5"}, b'{"error":"too many requests"}\n')
        case Trouble.NONE:
            raise LabError("there is no trouble to answer with", advice="this is a defect of the lab: report it")
        case _:
            assert_never(trouble)
