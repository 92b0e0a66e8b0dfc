"""Which GPU of a node an index of Slurm's means.

Slurm numbers a node's GPUs as gres.conf lists their device files, /dev/dri/renderD*. Where it detects them itself, or
gres.conf names no files, they are numbered by their render nodes. The kernel tells, through KFD, which GPU a render
node belongs to: of a partitioned one, each partition has a render node of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from exporter.errors import TasksServerError
from exporter.gpu_id import canonical
from exporter.tasks.slurm.hostlist import expand

_PLACES = ("/etc/slurm/gres.conf", "/run/slurm/conf/gres.conf")
"""Where it usually is, and where slurmd keeps it that got its configuration from the controller."""
_MAX_BYTES = 2**20
_RENDER_NODE = re.compile(r".*/renderD([0-9]{1,6})")
_FIRST_RENDER_NODE = 128


class NodeGpus:
    """The GPUs of this machine, as Slurm numbers them on a node.

    Args:
        node: Slurm's name of it.
        gres_conf: The file; None: where it usually is.
        sysfs: Where it is mounted.

    Raises:
        TasksServerError: gres.conf cannot be read.
    """

    def __init__(self, node: str, gres_conf: Path | None = None, sysfs: str = "/sys") -> None:
        self._by_minor = dict(sorted(_render_nodes(sysfs)))
        files = device_files(_read(gres_conf), node)
        minors = [int(match[1]) if (match := _RENDER_NODE.fullmatch(file)) else -1 for file in files]
        self._in_order: Sequence[str | None]
        if minors:
            self._in_order = [self._by_minor.get(minor) for minor in minors]
        else:
            self._in_order = list(self._by_minor.values())

    @property
    def uuids(self) -> frozenset[str]:
        """Returns the unique ids of all of them."""
        return frozenset(self._by_minor.values())

    def by_index(self, index: int) -> str | None:
        """Returns the unique id of the GPU that `scontrol` gives this index; None if there is none."""
        return self._in_order[index] if 0 <= index < len(self._in_order) else None

    def by_number(self, number: int) -> str | None:
        """Returns the unique id of the GPU that Slurm tells a job's scripts to use: by index, or by its render node."""
        return self.by_index(number) or self._by_minor.get(number)


def device_files(text: str, node: str) -> list[str]:
    """Returns the device files of a node's GPUs, in the order of gres.conf; none if they are to be detected."""
    found: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        settings = _settings(line)
        nodes = settings.get("nodename")
        if settings.get("name", "").lower() == "gpu" and (nodes is None or node in expand(nodes)):
            found += expand(settings.get("file", ""))
    return [file for file in found if file]


def _settings(line: str) -> Mapping[str, str]:
    pairs = (word.partition("=") for word in line.partition("#")[0].split())
    return {key.lower(): value.strip('"') for key, _, value in pairs}


def _read(gres_conf: Path | None) -> str:
    for place in [gres_conf] if gres_conf else map(Path, _PLACES):
        try:
            with place.open("rb") as file:
                return file.read(_MAX_BYTES).decode(errors="replace")
        except FileNotFoundError as error:
            if gres_conf is not None:
                raise TasksServerError(f"tasks.slurm.gres_conf: {place}: {error.strerror}") from error
        except OSError as error:
            raise TasksServerError(f"{place}: {error.strerror}: may the user of this service read it?") from error
    return ""


def _render_nodes(sysfs: str) -> Iterator[tuple[int, str]]:
    """Yields the number of each render node that KFD knows, and the unique id of its GPU."""
    nodes = Path(sysfs, "class/kfd/kfd/topology/nodes")
    try:
        names = sorted(os.listdir(nodes))  # noqa: PTH208  names are all that is wanted
    except OSError:
        return
    for name in names:
        properties = _properties(nodes / name / "properties")
        minor, location = properties.get("drm_render_minor", 0), properties.get("location_id", 0)
        if minor < _FIRST_RENDER_NODE:  # a processor
            continue
        address = f"{properties.get('domain', 0):04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}.0"
        package = canonical(_text(Path(sysfs, "bus/pci/devices", address, "unique_id")))
        uuid = package or canonical(f"{properties.get('unique_id', 0):016x}")
        if uuid is not None:
            yield minor, uuid


def _properties(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal() and len(pair[1]) < 21}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
