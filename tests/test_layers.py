"""Who may import whom: data flows one way through the packages, and so do imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import exporter

ROOT = Path(exporter.__file__).parent

ONLY: dict[str, set[str]] = {
    "exporter.model": set(),
    "exporter.errors": set(),
    "exporter.labels": set(),
    "exporter.aliases": set(),
    "exporter.encoding": set(),
    "exporter.https": set(),
    "exporter.ownership": {"exporter.labels", "exporter.model"},
    "exporter.ended": {"exporter.labels", "exporter.model"},
    "exporter.metering": {"exporter.labels", "exporter.model", "exporter.ownership"},
    "exporter.weighing": {"exporter.metering", "exporter.model", "exporter.ownership"},
    "exporter.report.observed": {"exporter.model"},
}
"""All that a part may import of the project, beside itself."""

NEVER: dict[str, set[str]] = {
    "exporter.devices": {"exporter.tasks", "exporter.report", "exporter.node", "exporter.metering"},
    "exporter.tasks": {"exporter.devices", "exporter.report", "exporter.node", "exporter.metering"},
    "exporter.node": {"exporter.devices", "exporter.report", "exporter.web"},
    "exporter.live": {"exporter.devices", "exporter.node", "exporter.tasks", "exporter.web"},
    "exporter.portal": {"exporter.devices", "exporter.node", "exporter.tasks", "exporter.demo", "exporter.service"},
    "exporter.report": {"exporter.devices", "exporter.node", "exporter.web"},
    "exporter.report.history": {
        "exporter.tasks",
        "exporter.report.accounting",
        "exporter.report.render",
        "exporter.report.holders",
        "exporter.report.answers",
        "exporter.report.make",
    },
    "exporter.report.accounting": {
        "exporter.tasks",
        "exporter.report.history",
        "exporter.report.render",
        "exporter.report.holders",
        "exporter.report.answers",
        "exporter.report.make",
    },
    "exporter.report.completeness": {"exporter.tasks", "exporter.report.history", "exporter.report.render"},
    "exporter.report.render": {
        "exporter.tasks",
        "exporter.report.history",
        "exporter.report.holders",
        "exporter.report.answers",
        "exporter.report.make",
    },
}
"""What a part may not import."""

ONLY_FROM: dict[str, set[str]] = {
    "exporter.cli": {"exporter.__main__"},
    "exporter.check": {"exporter.cli"},
    "exporter.report.command": {"exporter.cli"},
    "exporter.service": {"exporter.cli", "exporter.demo"},
    "exporter.demo": {"exporter.cli"},
    "exporter.portal": {"exporter.cli", "exporter.demo"},
    "exporter.tasks.bookings": {"exporter.tasks.source"},
    "exporter.tasks.consumption": {"exporter.tasks.source", "exporter.demo.api"},
    "exporter.tasks.slurm": {"exporter.tasks.source"},
}
"""Who alone may import a part, beside itself."""

PURE = (
    *("exporter.model", "exporter.errors", "exporter.labels", "exporter.aliases", "exporter.metering"),
    *("exporter.ownership", "exporter.ended", "exporter.weighing", "exporter.standing"),
    *("exporter.live.idleness", "exporter.live.cluster", "exporter.portal.views", "exporter.web.scrapers"),
)
PURE_REPORT = (
    "exporter.report.observed",
    "exporter.report.accounting",
    "exporter.report.completeness",
)
INPUT_OUTPUT = {
    *("aiohttp", "asyncio", "concurrent", "http", "httpx", "io", "logging", "multiprocessing", "os", "pathlib"),
    *("requests", "select", "shutil", "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time"),
    *("urllib", "urllib3"),
}


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports."""

    module: str
    imported: str


def imports_of(module: str, source: str) -> Iterator[Import]:
    """Everything that is imported, wherever in the module; of `from a import b` it is `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: imports by absolute names only"
            yield from (Import(module, f"{node.module}.{alias.name}") for alias in node.names)


def modules() -> dict[str, Path]:
    names = {path: path.relative_to(ROOT.parent).with_suffix("").parts for path in sorted(ROOT.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in names.items()}


@cache
def everything() -> tuple[Import, ...]:
    found: list[Import] = []
    for module, path in modules().items():
        found += imports_of(module, path.read_text(encoding="utf-8"))
    return tuple(found)


def is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def within(part: str) -> list[Import]:
    found = [one for one in everything() if is_in(one.module, part)]
    return [one for one in found if not is_in(one.imported, part)]


def of_project(found: list[Import]) -> list[Import]:
    """Without names of the package itself, such as its version."""
    return [one for one in found if is_in(one.imported, "exporter") and one.imported != "exporter.__version__"]


@pytest.mark.parametrize("part", ONLY)
def test_the_foundation_imports_only_what_lies_below_it(part: str) -> None:
    allowed = ONLY[part]
    assert [one for one in of_project(within(part)) if not any(is_in(one.imported, other) for other in allowed)] == []


@pytest.mark.parametrize("part", NEVER)
def test_a_part_does_not_import_what_it_has_no_business_with(part: str) -> None:
    assert [one for one in within(part) if any(is_in(one.imported, other) for other in NEVER[part])] == []


@pytest.mark.parametrize("part", ONLY_FROM)
def test_the_outermost_parts_are_imported_by_few(part: str) -> None:
    outside = [one for one in everything() if is_in(one.imported, part) and not is_in(one.module, part)]
    assert [one for one in outside if not any(is_in(one.module, other) for other in ONLY_FROM[part])] == []


@pytest.mark.parametrize("part", [*PURE, *PURE_REPORT])
def test_pure_parts_import_nothing_that_reads_writes_or_waits(part: str) -> None:
    assert [one for one in within(part) if one.imported.split(".")[0] in INPUT_OUTPUT] == []


def test_every_rule_is_about_something_that_is_there() -> None:
    rules = {*ONLY, *NEVER, *ONLY_FROM, *PURE, *PURE_REPORT}
    named = rules | {other for others in (*ONLY.values(), *NEVER.values(), *ONLY_FROM.values()) for other in others}
    assert {part for part in named if not any(is_in(module, part) for module in modules())} == set()


def test_imports_within_functions_and_of_modules_count() -> None:
    source = "import a.b\ndef f():\n    from c import d as e\n    import f as g, h\n"
    assert [one.imported for one in imports_of("m", source)] == ["a.b", "c.d", "f", "h"]
