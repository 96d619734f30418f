"""The key service's answers to the very same question, for as long as one sample is opened: values under one data key
cost one call. Data keys are held in this process alone and overwritten at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from probes.fields.opening.unwrap import Answer, Budget, Declined, Sleep, Unwrapped, Unwrapper

Question: TypeAlias = tuple[str, bytes, frozenset[tuple[str, str]], bytes]


@dataclass(slots=True)
class Remembered:
    """Asks through a budget, once a question. What was not answered is asked again."""

    budget: Budget
    sleep: Sleep
    _held: dict[Question, Unwrapped | Declined] = field(default_factory=dict, repr=False)

    def ask(
        self, resource: str, who: Unwrapper, blob: bytes, context: Mapping[str, str], associated: bytes
    ) -> tuple[Answer, int]:
        """The answer, with a copy of the data key that whoever asks may overwrite, and how many calls it took."""
        question = (resource, blob, frozenset(context.items()), associated)
        known = self._held.get(question)
        made = 0
        if known is None:
            answer, made = self.budget.ask(resource, who, blob, context, associated, self.sleep)
            if not isinstance(answer, Unwrapped | Declined):
                return answer, made
            known = self._held[question] = answer
        return (replace(known, key=bytearray(known.key)) if isinstance(known, Unwrapped) else known), made

    def forget(self) -> None:
        """Overwrite every data key."""
        for answer in self._held.values():
            if isinstance(answer, Unwrapped):
                answer.forget()
        self._held.clear()
