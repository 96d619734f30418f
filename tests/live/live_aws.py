"""Record how AWS KMS really behaves, in a scratch account, on keys that this makes and removes.

python tests/live/live_aws.py --account 111122223333 --yes
python tests/live/live_aws.py --account 111122223333 --clean
python tests/live/live_aws.py --list
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import boto3
import botocore
from aws_cases import CASES
from aws_session import TAG, WAITING_DAYS, AwsSession
from live_command import Command, Refused, main, options
from live_journal import Journal, Stop
from live_normal import Symbols
from live_session import Limits
from recording import Recording

EXPLAINED = f"""\
It will create, in account {{account}}, region {{region}}, with the credentials of {{profile}}:
{{keys}}
each with the tag {TAG}={{run}}, with the default key policy, changed on these keys alone; grants to the caller itself.
Cost: a key costs about USD 1 a month, by the hour, until its deletion is scheduled; some hundred requests are within
the free tier or below USD 0.01. Together less than USD 1 where it cleans up. See aws.amazon.com/kms/pricing.
Cleaning: every key is scheduled for deletion in {WAITING_DAYS} days (free) at the end, also after an error or a signal;
left-overs: the same command with --clean, which touches keys with the tag {TAG} only.
"""


class AwsCommand(Command[AwsSession]):
    """`live_aws.py`."""

    def open(self, run: str, journal: Journal, stop: Stop, limits: Limits) -> AwsSession:
        started = datetime.now(UTC)
        sdk = {"boto3": boto3.__version__, "botocore": botocore.__version__, "python": sys.version.split()[0]}
        recording = Recording("fake", self.args.region, started.strftime("%Y-%m-%dT%H:%M:%SZ"), sdk)
        boto = boto3.Session(profile_name=self.args.profile)
        session = AwsSession(
            boto, self.args.region, self.args.replica_region, run, journal, recording, Symbols(started), stop, limits
        )
        recording.cloud = session.cloud()
        account = session.who()
        if account != self.args.account:
            raise Refused("the credentials belong to another account than --account says: nothing was created")
        return session

    def explained(self, run: str) -> str:
        keys = "\n".join(f"  {case.name}: {case.creates}" for case in self.running())
        profile = f"profile {self.args.profile}" if self.args.profile else "the environment"
        return EXPLAINED.format(account=self.args.account, region=self.args.region, profile=profile, keys=keys, run=run)

    def clean(self, session: AwsSession) -> tuple[int, list[str]]:
        done, left = session.clean_tagged(None)
        return done, list(left)


def arguments() -> AwsCommand:
    parser = options(__doc__ or "")
    parser.add_argument("--account", help="the scratch account's number, typed by hand")
    parser.add_argument("--profile", help="of the AWS configuration; default: as the SDK finds credentials")
    parser.add_argument("--region", default="eu-central-1")
    parser.add_argument("--replica-region", default="eu-west-1", help="where --multi-region puts its replica")
    parser.add_argument("--multi-region", action="store_true", help="also a multi-Region key with a replica")
    parser.add_argument("--wait-for-logs", action="store_true", help="also CloudTrail events: up to 20 minutes")
    args = parser.parse_args()
    chosen = frozenset(
        name for name, on in (("--multi-region", args.multi_region), ("--wait-for-logs", args.wait_for_logs)) if on
    )
    return AwsCommand("aws", CASES, args, args.account, "--account 111122223333", chosen)


if __name__ == "__main__":
    sys.exit(main(arguments()))
