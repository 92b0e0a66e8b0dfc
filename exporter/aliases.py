"""Which unique ids mean one GPU, and which names one host: what the report calls them. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations


class GpuNames:
    """The unique ids that GPUs go by.

    Args:
        known: The ids under which exporters tell of GPUs.
        claims: Such an id, and another one that means the same GPU. Another one that several GPUs claim means none of
            them; where a GPU's exporter calls it by another id than before, each of the two claims the other.
    """

    def __init__(self, known: Iterable[str] = (), claims: Iterable[tuple[str, str]] = ()) -> None:
        self._known = frozenset(known)
        self._groups = _Groups()
        claimed = [(uuid, alias) for uuid, alias in claims if uuid in self._known and uuid != alias]
        for is_key in (True, False):
            for alias, group in _claimants(claimed).items():
                if (alias in self._known) is is_key and len({self._groups.first(uuid) for uuid in group}) == 1:
                    self._groups.join(alias, *group)

    def key(self, uuid: str) -> str:
        """Returns the one id under which the report tells of the GPU that an id means."""
        return min(self.known_as(uuid), default=uuid)

    def aliases(self, uuid: str) -> frozenset[str]:
        """Returns all ids of the GPU that an id means, that one included."""
        return frozenset(self._groups.members(uuid))

    def known_as(self, uuid: str) -> frozenset[str]:
        """Returns the ids under which exporters tell of the GPU that an id means; usually one."""
        return self._known.intersection(self._groups.members(uuid))

    def __contains__(self, uuid: str) -> bool:
        return bool(self.known_as(uuid))


class HostNames:
    """The names that hosts go by: `colab-gpu1` is `colab-gpu1.example.org`, unless GPUs tell that there are two.

    Args:
        seen: The unique ids of the GPUs that were seen under each name that exporters bear. Of two names that differ
            in their domain, each with GPUs of its own, each is a host.
        since: When a GPU was first seen under each of these names; of the names of a host the latest is printed.
        mentioned: Names that others give to hosts, the preferred first.
    """

    def __init__(
        self,
        seen: Mapping[str, Collection[str]] | None = None,
        since: Mapping[str, float] | None = None,
        mentioned: Iterable[str] = (),
    ) -> None:
        seen = seen or {}
        self._groups = _Groups()
        for one, other in combinations(seen, 2):
            if _spelling(one) == _spelling(other) or (
                _is_same(one, other) and not set(seen[one]).isdisjoint(seen[other])
            ):
                self._groups.join(one, other)
        others = [name for name in dict.fromkeys(mentioned) if name and name not in seen]
        unseen = []
        for name in others:
            hosts = {self._groups.first(each): each for each in seen if _is_same(name, each)}
            if len(hosts) == 1:
                self._groups.join(*hosts.values(), name)
            elif not hosts:
                unseen.append(name)
        for name in unseen:
            longer = [each for each in unseen if each != name and _is_same(name, each) and len(each) >= len(name)]
            if all(_is_same(one, another) for one, another in combinations(longer, 2)):
                self._groups.join(name, *longer)
        since = since or {}
        latest_first = sorted(seen, key=lambda name: (-since.get(name, -math.inf), name))
        self._preference = {name: n for n, name in enumerate((*latest_first, *others))}

    def name(self, hostname: str) -> str:
        """Returns the name that the report prints for a host."""
        return min(self._groups.members(hostname), key=lambda one: self._preference.get(one, len(self._preference)))


@dataclass(frozen=True, slots=True)
class Names:
    """What the report calls GPUs and hosts."""

    gpus: GpuNames = field(default_factory=GpuNames)
    hosts: HostNames = field(default_factory=HostNames)


class _Groups:
    """Names that mean one thing."""

    def __init__(self) -> None:
        self._members: dict[str, list[str]] = {}

    def join(self, *names: str) -> None:
        together: list[str] = []
        for members in {id(group): group for group in map(self.members, names)}.values():
            together += (name for name in members if name not in together)
        self._members.update(dict.fromkeys(together, together))

    def members(self, name: str) -> Sequence[str]:
        return self._members.get(name) or [name]

    def first(self, name: str) -> str:
        return self.members(name)[0]


def _claimants(claims: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for uuid, alias in claims:
        found.setdefault(alias, []).append(uuid)
    return found


def _spelling(hostname: str) -> str:
    return hostname.casefold().rstrip(".")


def _is_same(one: str, other: str) -> bool:
    """Returns whether two names are equal but for the domain of one."""
    shorter, longer = sorted((_spelling(one), _spelling(other)), key=len)
    return longer == shorter or longer.startswith(f"{shorter}.")
