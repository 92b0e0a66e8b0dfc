"""What can be said of the roles without running them: `make test-ansible` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ANSIBLE = Path(__file__).parents[2] / "deploy/ansible"
ROLES = sorted((ANSIBLE / "roles").iterdir())


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_is_declared_and_told(role: Path) -> None:
    declared = set(read(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"])
    assert declared >= set(read(role / "defaults/main.yml"))
    told = {line.split("`")[1] for line in (ANSIBLE / "README.md").read_text().splitlines() if line.startswith("| `")}
    assert {name for name in told if name.startswith(f"{role.name}_")} == declared


def test_the_example_names_the_groups_that_the_playbook_plays() -> None:
    played = {group for play in read(ANSIBLE / "site.yml") for group in play["hosts"].split(":")}
    assert set(read(ANSIBLE / "inventory.example.yml")["all"]["children"]) == played
