"""Record how Cloud KMS really behaves, in a scratch project, on keys that this makes and destroys.

python tests/live/live_gcp.py --project my-scratch-project --yes
python tests/live/live_gcp.py --project my-scratch-project --clean
python tests/live/live_gcp.py --list
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.metadata import version

from gcp_cases import CASES
from gcp_session import LABEL, RING, GcpSession, actor_of
from google.auth.exceptions import GoogleAuthError
from live_command import Command, Refused, main, options
from live_journal import Journal, Stop
from live_normal import Symbols
from live_session import Limits
from recording import Recording

EXPLAINED = f"""\
It will create, in project {{project}}, location {{location}}:
{{keys}}
in the key ring {RING} (made if it is not there; key rings can never be deleted), each with the label {LABEL}={{run}}.
Cost: a software key version costs about USD 0.06 a month, an HSM version (--hsm) USD 1 to 2.50, by the part of the
month that it exists; requests are far below USD 0.01. See cloud.google.com/kms/pricing.
Cleaning: all versions are destroyed (after 24 hours) and policies emptied at the end, also after an error or a signal;
the empty keys stay, as keys cannot be deleted; left-overs: the same command with --clean, which touches keys with the
label {LABEL} in that ring only.
"""


class GcpCommand(Command[GcpSession]):
    """`live_gcp.py`."""

    def open(self, run: str, journal: Journal, stop: Stop, limits: Limits) -> GcpSession:
        args = self.args
        if args.unsafe_plaintext_endpoint and not args.unsafe_plaintext_endpoint.startswith("127.0.0.1:"):
            raise Refused("tokens go over plaintext to 127.0.0.1 only")
        try:
            actor, project = actor_of(args.credentials)
            subject = actor_of(args.subject_credentials)[0] if args.subject_credentials else None
        except (GoogleAuthError, OSError, ValueError) as error:
            raise Refused(f"no credentials ({type(error).__name__}): gcloud auth application-default login") from error
        if project != args.project:
            raise Refused("the credentials name another project than --project, or none: nothing was created")
        started = datetime.now(UTC)
        packages = ("google-cloud-kms", "google-cloud-logging", "google-api-core", "grpcio")
        sdk = {**{name: version(name) for name in packages}, "python": sys.version.split()[0]}
        recording = Recording("fake", args.location, started.strftime("%Y-%m-%dT%H:%M:%SZ"), sdk)
        locations = [args.location, *(["global"] if args.global_ring else [])]
        session = GcpSession(
            actor,
            subject,
            args.project,
            locations,
            args.unsafe_plaintext_endpoint,
            run,
            journal,
            recording,
            Symbols(started),
            stop,
            limits,
        )
        recording.cloud = session.cloud()
        if not args.clean:
            session.prepare()
        return session

    def explained(self, run: str) -> str:
        keys = "\n".join(f"  {case.name}: {case.creates}" for case in self.running())
        return EXPLAINED.format(project=self.args.project, location=self.args.location, keys=keys, run=run)

    def clean(self, session: GcpSession) -> tuple[int, list[str]]:
        done, left = session.clean_labelled(None)
        return done, list(left)


def arguments() -> GcpCommand:
    parser = options(__doc__ or "")
    parser.add_argument("--project", help="the scratch project's id, typed by hand")
    parser.add_argument("--location", default="europe-west3")
    parser.add_argument("--credentials", metavar="FILE", help="default: as the SDK finds them")
    parser.add_argument(
        "--subject-credentials",
        metavar="FILE",
        help="of a service account without any role (its key, or to impersonate it): also bindings that end",
    )
    parser.add_argument("--hsm", action="store_true", help="also an HSM key and its attestation; costs more")
    parser.add_argument("--global-ring", action="store_true", help="also HSM in `global`; leaves a key ring there")
    parser.add_argument("--wait-for-logs", action="store_true", help="also audit log entries: up to 20 minutes")
    parser.add_argument("--unsafe-plaintext-endpoint", metavar="127.0.0.1:PORT", help="a fake on this machine")
    args = parser.parse_args()
    switches = (
        ("--subject-credentials", bool(args.subject_credentials)),
        ("--hsm", args.hsm),
        ("--global-ring", args.global_ring),
        ("--wait-for-logs", args.wait_for_logs),
    )
    chosen = frozenset(name for name, on in switches if on)
    return GcpCommand("gcp", CASES, args, args.project, "--project my-scratch-project", chosen)


if __name__ == "__main__":
    sys.exit(main(arguments()))
