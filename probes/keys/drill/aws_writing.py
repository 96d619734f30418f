"""Changing a key policy in one Region. PutKeyPolicy has no compare-and-swap, so the policy is read right before and
right after every write.

What this cannot see: a change by somebody else that was written between our reading and our writing, a few milliseconds
apart, is overwritten. The key's log shows both PutKeyPolicy calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.errors import AwsError
from probes.keys.drill.aws_calls import Hand, Sleep

_PAUSES: Final = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0)
"""Seconds between looks for what was written: GetKeyPolicy may still answer the old text."""
_BACK_OFF: Final = (0.2, 0.4, 0.8, 1.6, 3.2)
_AGAIN: Final = 0.25
"""Seconds before a policy that needs no undoing is read once more: the first answer may be stale."""

Edit = Callable[[str], "str | None"]
"""The policy as it is to the policy as it shall be; None: nothing to do. May raise ProbeError."""


@dataclass(frozen=True, slots=True)
class PolicyWriter:
    """The `default` policy of one key in one Region, in the hand of one identity."""

    hand: Hand
    arn: KmsArn
    sleep: Sleep

    def read(self) -> str:
        """The text as it is. Raises ProbeError."""
        operation = "kms:GetKeyPolicy"
        answer = self.hand.ask(operation, self.arn.region, KeyId=str(self.arn), PolicyName="default")
        text = answer.get("Policy")
        if not isinstance(text, str) or not text:
            raise ProbeError(Reason.MALFORMED, f"{operation}: answered no policy")
        return text

    def put(self, edit: Edit, settled: Callable[[str], bool], *, stubborn: bool) -> None:
        """Write what `edit` makes of the present text, until `settled` holds for what is read back.

        A call that surely did nothing (throttled) is made again, on a text that is read anew. `stubborn` also writes
        again what was lost to somebody else's write, and looks twice before there is nothing to do; without it a lost
        write is ProbeError(conflicting). Raises ProbeError; what the last call did is then not known.
        """
        held: ProbeError | None = None
        for number, wait in enumerate(_BACK_OFF):
            wanted = edit(self.read())
            if wanted is None and stubborn and not number:
                self.sleep(_AGAIN)
                wanted = edit(self.read())
            if wanted is None:
                return
            held = self._write(wanted)
            if held is None or held.reason is not Reason.THROTTLED:
                if self._shows(settled):
                    return
                held = held or self._lost()
                if not stubborn:
                    break
            self.sleep(wait)
        raise held or self._lost()

    def _write(self, text: str) -> ProbeError | None:
        try:
            self.hand.ask(
                "kms:PutKeyPolicy", self.arn.region, once=True, KeyId=str(self.arn), PolicyName="default", Policy=text
            )
        except AwsError as error:
            if error.reason in (Reason.THROTTLED, Reason.UNREACHABLE):
                return error
            raise
        except ProbeError as error:
            return error  # no answer: it may have been done
        return None

    def _lost(self) -> ProbeError:
        return ProbeError(
            Reason.CONFLICTING,
            f"kms:PutKeyPolicy in {self.arn.region}: what was written is not there when read back; somebody else "
            f"writes this policy too",
        )

    def _shows(self, settled: Callable[[str], bool]) -> bool:
        for wait in _PAUSES:
            if wait:
                self.sleep(wait)
            try:
                if settled(self.read()):
                    return True
            except ProbeError as error:
                if error.reason is Reason.PERMISSION_DENIED:
                    return False
        return False
