"""Names that others chose: made safe to print, and put in order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

_T = TypeVar("_T")

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: control, format, surrogate, line and paragraph separators."""


def visible(name: str) -> str:
    """The name on one line, each character in it that steers a terminal or the order of text shown as U+FFFD.

    An escape sequence in a username would otherwise recolour, or rewrite, the report of everybody; a right-to-left
    override would show the figures beside it reversed.
    """
    if name.isascii() and name.isprintable():
        return name
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _UNSEEN else char for char in name)


def joined(names: Iterable[str]) -> str:
    r"""Names in one field, joined by `+`; a `+` within one stands as `\+`, so that they can be told apart again.

    Backslashes are doubled where they would otherwise seem to mean that: `CORP\alice` stays as it is.
    """
    return "+".join(
        re.sub(r"(\\*)(\+|\Z)", lambda end: 2 * end[1] + end[2].replace("+", "\\+"), name) for name in names
    )


def natural(name: str) -> list[tuple[str, int, str, str]]:
    """What names are in order of for people: node2 before node10, node010 before node11."""
    pieces = re.findall("([^0-9]*)([0-9]*)", name)
    return [(text, len(number := digits.lstrip("0")), number, digits) for text, digits in pieces]


def by_hostname(items: Iterable[_T], hostname: Callable[[_T], str]) -> dict[str, list[_T]]:
    """What belongs to each host, wherever it stands."""
    groups: dict[str, list[_T]] = {}
    for item in items:
        groups.setdefault(hostname(item), []).append(item)
    return groups
