"""What a client says it accepts: a compressed answer, a language."""

from __future__ import annotations

import re
from typing import Final

from exporter.speech import SOURCE, languages, speech

_QUALITY: Final = re.compile(r";\s*q=([01](?:\.[0-9]*)?)\s*$", re.IGNORECASE)


def accepts_gzip(accept_encoding: str) -> bool:
    """Returns whether the header names gzip, or `*` and gzip not, with a quality above 0."""
    accepted = _qualities(accept_encoding)
    return accepted.get("gzip", accepted.get("*", 0.0)) > 0


def preferred_language(accept_language: str) -> str:
    """Returns the one of `languages()` that the header ranks first; English where it names none of them.

    A language is meant by its own name or by that of its script, with or without more behind it: zh-TW by `zh-TW`,
    `zh-Hant` and `zh-Hant-HK`, but not by a mere `zh`, which most who send it write otherwise.
    """
    accepted = _qualities(accept_language)
    for wanted in sorted((name for name in accepted if accepted[name] > 0), key=lambda name: -accepted[name]):
        for language in languages():
            if any(f"{wanted}-".startswith(f"{name}-") for name in (language.lower(), _script(language))):
                return language
    return SOURCE


def _script(language: str) -> str:
    """Returns `zh-hant` for zh-TW, and for most the language alone."""
    tag = speech(language).tag.lower()
    return tag.rpartition("-")[0] or tag


def _qualities(header: str) -> dict[str, float]:
    """Returns the quality, 0 to 1, of each value that a header lists, by its name in small letters."""
    qualities = {}
    for item in header.lower().split(","):
        name, _, _ = item.partition(";")
        quality = _QUALITY.search(item)
        qualities[name.strip()] = float(quality[1]) if quality else 1.0
    return qualities
