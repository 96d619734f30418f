"""What is asked before any drill on a key, and what keeps one from beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, Protocol

from keycheck.drill.home import DrillOpenError, Home
from keycheck.drill.kit import kit_for
from keycheck.drill.phases import Phase
from keycheck.drill.records import Record
from keycheck.drill.runner import During, Outcome, run
from keycheck.drill.status import status as drills
from keycheck.errors import KeycheckError, ProbeError
from keycheck.model.authorization import WIDE, Technique
from keycheck.model.drill import Change, Desk, Mechanism
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.whose import credential_of
from probes.keys.subjects import Key, KeyDrill, KeyModel

LEAVING: Final = "interrupted: nothing is held any longer; what was changed is put back first, which nothing skips"
_ADVICE = {
    KeyModel.SERVICE_INTEGRATED: "one key is under all data: ask the vendor for a rehearsal on a tenant of yours",
    KeyModel.UPLOADED_MATERIAL: "the vendor's KMS holds it: ask the vendor to delete it and to show that reads fail",
    KeyModel.EXTERNAL_CALLOUT: "the vendor fetches your key: refuse the fetch at your own end, and watch",
    KeyModel.VENDOR_CONSOLE: "only the vendor's console turns this key: ask for a witnessed rehearsal",
}


def may_start(subject: Key, technique: Technique, io: Io, desk: Desk) -> None:
    """What can be told before anything is asked. Raises ProbeError."""
    if subject.model is not KeyModel.DIRECT_KMS:
        raise ProbeError(Reason.UNSUPPORTED, f"key model {subject.model}: {_ADVICE[subject.model]}")
    if subject.drill is None:
        raise ProbeError(Reason.UNSUPPORTED, "the key declares no `drill:`: its canary and who reads it")
    home = Home(desk.home)
    if why := home.halted():
        raise ProbeError(Reason.NOT_AUTHORIZED, f"the halt lever is pulled: {why}")
    for other in drills(home, io.clock):
        if other.phase is not Phase.CLOSED and other.subject == f"keys/{subject.id}":
            way = "wait until it has ended" if other.running else f"`keycheck drill recover {other.drill}` first"
            _locked(desk, f"drill {other.drill} is open on this key: {way}")
    name = _meant(subject, subject.drill, technique)
    if technique in WIDE and not desk.wish.dry and desk.wish.typed != name:
        raise ProbeError(
            Reason.NOT_AUTHORIZED, f"{technique} reaches beyond a canary: type the key's own name, --typed {name}"
        )
    _apart(subject, subject.drill, technique, desk)


def _meant(subject: Key, plan: KeyDrill, technique: Technique) -> str:
    """The name of what is really turned: in Google Cloud only the canary's own key is ever disabled."""
    theirs = subject.provider == "gcp" and technique is Technique.DISABLE_KEY
    return plan.canary_key or subject.resource if theirs else subject.resource


def _apart(subject: Key, plan: KeyDrill, technique: Technique, desk: Desk) -> None:
    """Raises ProbeError for a canary's key that is another key of the deployment: its authorization names this one.
    What an alias stands for cannot be told here, so beside a key to be rotated none may be declared by alias."""
    if plan.canary_key is None:
        return
    short = plan.canary_key.split("/", 2)[-1]  # a Google project has an id and a number
    for entry in desk.deployment.in_section("keys"):
        other = str(entry.body.parsed().get("resource", ""))
        same = other == plan.canary_key or (subject.provider == "gcp" and other.split("/", 2)[-1] == short)
        hidden = technique is Technique.ROTATE_CANARY and subject.provider == "aws" and ":alias/" in other
        if entry.id != f"keys/{subject.id}" and (same or hidden):
            words = "is" if same else "may be"
            raise ProbeError(
                Reason.UNSUPPORTED,
                f"`canary_key` {words} {entry.id} of this deployment: name a key that seals canaries alone, and "
                "declare the others by ARN",
            )


@contextmanager
def starting(desk: Desk) -> Iterator[None]:
    """Around the runner: what its home refuses becomes a reason, and is told apart where it is only for now."""
    try:
        yield
    except ProbeError:
        raise
    except DrillOpenError as error:
        _locked(desk, f"{error}; {error.advice}")
    except KeycheckError as error:  # of the journal's home, before anything was touched
        raise ProbeError(Reason.CONFLICTING, f"not started: {error}; {error.advice}") from error
    except OSError as error:  # the same, of its disk
        why = error.strerror or type(error).__name__
        raise ProbeError(Reason.CONFLICTING, f"not started: no journal can be kept in {desk.home}: {why}") from error


class Turning(Protocol):
    """What turns a key: a change, what carries it out, and the names in the world that it claims."""

    @property
    def change(self) -> Change: ...
    @property
    def mechanism(self) -> Mechanism: ...
    @property
    def claims(self) -> frozenset[str]: ...


def carried_out(
    cloud: Turning,
    subject: Key,
    settle: timedelta,
    io: Io,
    desk: Desk,
    *,
    during: During,
    until: datetime,
    watch: Callable[[Record], None],
) -> Outcome:
    """One drill through the runner: journalled, watched over, put back. Raises ProbeError before anything is
    changed."""
    named = f"keys/{subject.id}"
    drill = cloud.change.drill
    with starting(desk):
        return run(
            cloud.change,
            cloud.mechanism,
            io,
            Home(desk.home),
            kit_for(desk.deployment, desk.file, named, io, cloud.claims),
            during=during,
            settle=settle,
            stop=desk.stop,
            until=until,
            watch=watch,
            interrupted=lambda: desk.say(f"{drill}: {LEAVING}"),
        )


def credentials(subject: Key, io: Io) -> str:
    """Whose credentials a drill uses, for the plan."""
    roles = subject.identities
    return "; ".join(credential_of(ref, io) for ref in (roles.drill, roles.control, roles.restore))


def _locked(desk: Desk, words: str) -> None:
    desk.locked.append(words)
    raise ProbeError(Reason.CONFLICTING, words)
