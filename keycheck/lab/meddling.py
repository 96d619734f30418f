"""An administrator of the customer's who rewrites what a drill has put into a key policy, as soon as it is there."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keycheck.lab.aws.cloud import AwsCloud

_EVERY: Final = 0.02
_ENDS: Final = "DateLessThan"


class Meddler:
    """Looks at one key's policy until closed. A Deny that ends in the future is left without its end, once."""

    def __init__(self, cloud: AwsCloud, arn: str) -> None:
        self._key = cloud.kms.find(arn)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="meddler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more. Closing twice is harmless."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            texts = self._key.policies.value
            now = datetime.now(UTC)
            policy = json.loads(texts["default"])
            endless = [_endless(statement, now) for statement in policy["Statement"]]
            if endless != policy["Statement"]:
                written = json.dumps({**policy, "Statement": endless})
                self._key.policies.put({**texts, "default": written}, now, timedelta(0))
                return


def _endless(statement: Mapping[str, object], now: datetime) -> Mapping[str, object]:
    condition = statement.get("Condition")
    if statement.get("Effect") != "Deny" or not isinstance(condition, dict):
        return statement
    ends = condition.get(_ENDS)
    if not isinstance(ends, dict) or not all(datetime.fromisoformat(str(each)) > now for each in ends.values()):
        return statement  # a rehearsal, which takes nothing away
    return {**statement, "Condition": {name: test for name, test in condition.items() if name != _ENDS}}
