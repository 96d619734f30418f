"""What both scripts do: explain, ask, run the cases, clean up whatever happens, write the recording.

Exit codes: 0 recorded and clean · 2 refused, nothing was created · 4 a case failed, or the recording was not written ·
6 something is left over · 130 interrupted, clean.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from live_journal import Journal, Stop, Stopped
from live_normal import LeakError
from live_session import Case, CaseError, Limits, Session, run_cases
from recording import write

S = TypeVar("S", bound=Session)


class Refused(Exception):  # a decision, told to the user
    """Nothing will be done. The text says why and what to do."""


def options(about: str) -> argparse.ArgumentParser:
    """The options of both clouds."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yes", action="store_true", help="do what is printed without it")
    parser.add_argument("--clean", action="store_true", help="only remove what carries the tag keycheck-live")
    parser.add_argument("--list", action="store_true", help="the cases, and what each would settle; connects nowhere")
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--home", type=Path, default=Path("keycheck-live"), help="journal and recording go here")
    parser.add_argument("--window", type=float, default=90.0, help="seconds until deadlines of Denies and materials")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two tries")
    parser.add_argument("--confirm", type=int, default=3, help="how often in a row a change must be seen")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for a change to be seen")
    parser.add_argument("--log-patience", type=float, default=1200.0, help="seconds to wait for a log entry")
    return parser


class Command(ABC, Generic[S]):
    """One of the scripts."""

    def __init__(
        self,
        cloud: str,
        cases: Sequence[Case[S]],
        args: argparse.Namespace,
        typed: str | None,
        hint: str,
        given: frozenset[str],
    ) -> None:
        self.cloud = cloud
        self.cases = cases
        self.args = args
        self.typed = typed
        self.hint = hint
        self.given = given

    @abstractmethod
    def open(self, run: str, journal: Journal, stop: Stop, limits: Limits) -> S:
        """Clients; raise Refused where the credentials belong elsewhere than was typed."""

    @abstractmethod
    def explained(self, run: str) -> str:
        """What will be created, what it costs, how it is removed."""

    @abstractmethod
    def clean(self, session: S) -> tuple[int, list[str]]:
        """Remove left-overs of any run: how many, and what is left."""

    def chosen(self) -> Sequence[Case[S]]:
        """The cases that were named, or all. Raise Refused for a name that is none."""
        known = {case.name for case in self.cases}
        unknown = [name for name in self.args.case if name not in known]
        if unknown:
            raise Refused(f"there is no case {unknown[0]}; --list shows them")
        return [case for case in self.cases if not self.args.case or case.name in self.args.case]

    def running(self) -> Sequence[Case[S]]:
        """Those of them whose options are given."""
        return [case for case in self.chosen() if not case.needs or case.needs in self.given]


def main(command: Command[S]) -> int:
    """Run; gives the exit code."""
    if command.args.list:
        _list(command)
        return 0
    try:
        with Stop() as stop:
            return _guarded(command, stop)
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 2
    except Stopped:
        print("interrupted before anything was created", file=sys.stderr)
        return 130


def _guarded(command: Command[S], stop: Stop) -> int:
    args = command.args
    if not command.typed:
        raise Refused(f"type which scratch account this may use: {command.hint}")
    command.chosen()
    now = datetime.now(UTC)
    run = f"{now:%Y%m%d}-{secrets.token_hex(4)}"
    limits = Limits(args.window, args.patience, args.log_patience, args.pause, args.confirm)
    if not args.clean:
        print(command.explained(run))
        if not args.yes:
            raise Refused("that is what it would do; add --yes to do it")
    journal = Journal(args.home / f"journal-{command.cloud}-{run}.jsonl")
    try:
        try:
            session = command.open(run, journal, stop, limits)
        except CaseError as error:
            raise Refused(str(error)) from error
        if args.clean:
            done, left = command.clean(session)
            print(f"removed {done} left-overs")
            return _told(left)
        return _recorded(command, session, stop, run)
    finally:
        journal.close()


def _recorded(command: Command[S], session: S, stop: Stop, run: str) -> int:
    code = 4
    try:
        try:
            run_cases(session, command.chosen(), command.given, _say)
            code = 4 if any(case.outcome == "failed" for case in session.recording.cases) else 0
        finally:
            stop.deaf()
    except Stopped:  # once at most, so that what follows is never interrupted
        print("interrupted: cleaning up", file=sys.stderr, flush=True)
        code = 130
    finally:
        left = session.clean()
        written = _written(command, session, run)
        code = _told(left) or (written if code == 0 else code)
    return code


def _say(line: str) -> None:
    print(line, flush=True)


def _written(command: Command[S], session: S, run: str) -> int:
    path = command.args.home / f"{command.cloud}-{run}.json"
    try:
        write(session.recording, path, session.symbols)
    except LeakError as leak:
        print(f"no recording: {leak}", file=sys.stderr)
        return 4
    print(f"recording of {session.recording.cloud}: {path}")
    for name, octets in session.kept.items():
        kept = path.with_name(f"{path.stem}-{name}")
        kept.write_bytes(octets)
        print(f"kept: {kept}")
    return 0


def _told(left: Sequence[str]) -> int:
    for line in left:
        print(f"left over: {line}", file=sys.stderr)
    return 6 if left else 0


def _list(command: Command[S]) -> None:
    for case in command.cases:
        print(f"{case.name} ({case.creates}{', ' + case.needs if case.needs else ''})")
        for line in case.settles:
            print(f"  - {line}")
