"""What is served where both sources answer: amdsmi's word, unless it is missing or the kernel contradicts it.

The kernel is asked just before the library. Where the two differ it is asked again, just after: what the library says
must lie between, or time does not explain it. Then the kernel's word is served; if that is so three times in a row
the library is not believed on this field any more.

While the kernel's files say all that would be served, the library need not be asked: `economy` says when it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from exporter.model import Reading

_FIELDS = tuple(field.name for field in fields(Reading) if field.name not in {"taken", "period"})
_TOO_OFTEN = 3


def agree(before: Reading, told: Reading, ask_again: Callable[[], Reading]) -> bool:
    """Tells whether one way to read a GPU says what another does, as far as time does not explain it.

    Args:
        before: by that other way, just before.
        told: by the one.
        ask_again: by the other way again; called only where they differ.
    """
    doubtful = [field for field in _FIELDS if getattr(told, field) != getattr(before, field)]
    if not doubtful:
        return True
    after = ask_again()
    return all(_time_explains(*(getattr(one, field) for one in (told, before, after))) for field in doubtful)


class Reconciler:
    """Reconciles the two sources for one GPU."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        """By field that the kernel serves, as told last: why."""
        self.kernel_suffices = False
        """All that was served last the kernel had said, or would have a moment later."""
        self._contradictions: Counter[str] = Counter()

    def served(self, kernel: Reading, library: Reading, ask_again: Callable[[], Reading]) -> Reading:
        """Returns what to serve.

        Args:
            kernel: its reading just before.
            library: amdsmi's.
            ask_again: reads the kernel's files.
        """
        self.kernel_suffices = True
        taken: dict[str, Any] = {}
        doubtful: list[str] = []
        for field in _FIELDS:
            told, ours = getattr(library, field), getattr(kernel, field)
            if field in self.reasons and self._contradictions[field] >= _TOO_OFTEN:
                taken[field] = ours
            elif ours in _ABSENT or told == ours:
                self._agreed(field)
                self.kernel_suffices &= told == ours
            elif told in _ABSENT:
                taken[field] = ours
                self.reasons[field] = "amdsmi does not tell it"
            else:
                doubtful.append(field)
        if doubtful:
            after = ask_again()
            for field in doubtful:
                told, ours = getattr(library, field), getattr(kernel, field)
                if _between(told, ours, getattr(after, field)):
                    self._agreed(field)
                    self.kernel_suffices &= _keys(told) == _keys(ours)
                    continue
                taken[field] = ours
                self._contradictions[field] += 1
                if self._contradictions[field] >= _TOO_OFTEN:
                    self.reasons[field] = f"amdsmi says {_brief(told)}, the kernel {_brief(ours)}"
                else:
                    self.kernel_suffices = False
        return replace(library, **taken) if taken else library

    def _agreed(self, field: str) -> None:
        if field in self._contradictions:
            del self._contradictions[field]
        self.reasons.pop(field, None)


_ABSENT: tuple[Any, ...] = (None, {})


def _between(value: Any, before: Any, after: Any) -> bool:
    """Tells whether a number, or each of a mapping, lies between two."""
    if isinstance(value, Mapping):
        return all(key not in value or _between(value[key], *ends) for key, ends in _ends(before, after))
    return after is not None and bool(min(before, after) <= value <= max(before, after))


def _ends(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    return ((key, (before[key], after[key])) for key in before if key in after)


def _time_explains(value: Any, before: Any, after: Any) -> bool:
    """Tells whether a value can lie between two; what is absent before and there after, or the other way, cannot."""
    if value in _ABSENT or before in _ABSENT or after in _ABSENT:
        return False
    return _keys(value) == _keys(before) == _keys(after) and _between(value, before, after)


def _keys(value: Any) -> set[str] | None:
    return set(value) if isinstance(value, Mapping) else None


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_brief(one)}" for key, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
