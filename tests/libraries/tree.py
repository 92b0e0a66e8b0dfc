"""Files as the kernel shows them, below a folder."""

from __future__ import annotations

import os
from pathlib import Path


class Tree:
    """Files below a folder, named from there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def text(self, path: str, text: str) -> None:
        """Writes a file as the kernel shows one: with a line end."""
        self.data(path, f"{text}\n".encode())

    def data(self, path: str, data: bytes) -> None:
        """Writes a file, world-readable as the driver's are."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o444)

    def folder(self, path: str) -> None:
        """Makes an empty folder."""
        (self._root / path).mkdir(parents=True, exist_ok=True)

    def link(self, path: str, target: str) -> None:
        """Makes a relative link, both named from the root."""
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(self._root / target, place.parent))
