"""docs/reliability.md names a test for each fault, and the tests are there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = ["fault", "what users see", "what is lost", "test"]
LEAST_ROWS = 80


def tables() -> list[list[str]]:
    """Every line of every table, cell by cell."""
    lines = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]


def rows() -> list[list[str]]:
    return [cells for cells in tables() if cells != COLUMNS]


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions)


def test_every_fault_names_a_test_that_is_there() -> None:
    named = [cells[-1].partition("::") for cells in rows()]
    missing = [(path, test) for path, _, test in named if not (ROOT / path).is_file() or test not in functions_of(path)]
    assert missing == []
    assert all(test.startswith("test_") for _, _, test in named)


def test_every_row_says_what_is_seen_and_lost_and_no_fault_stands_twice() -> None:
    assert all(len(cells) == len(COLUMNS) and all(cells) for cells in rows())
    faults = [cells[0] for cells in rows()]
    assert len(set(faults)) == len(faults) >= LEAST_ROWS
