"""What bounds the names that others choose, and the series that bear them. Pure.

A name of 15 MB, or ten thousand owners of one GPU, would make a scrape that Prometheus refuses and that the service
has no memory for. Whatever becomes a label, in whatever series and in the report beside it, is bounded here.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

MAX_CHARS: Final = 256
"""Of one label."""
MAX_SERIES: Final = 256
"""Of one GPU in one metric by owner or by task."""
OTHER: Final = "other"
"""The user under whose name all owners beyond the bound are summed."""
_DIGEST_BYTES: Final = 8


def bounded(name: str) -> str:
    """Returns a name as it is, or its beginning and a hash of it all: names that differ stay different."""
    if len(name) <= MAX_CHARS:
        return name
    digest = blake2b(name.encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{name[: MAX_CHARS - len(digest) - 1]}~{digest}"
