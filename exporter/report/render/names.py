"""Names that others chose, made safe to print."""

from __future__ import annotations

import unicodedata
from typing import Final

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
