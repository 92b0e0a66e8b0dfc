"""What `make release` asks before it tags, in a repository of its own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "release.py"
NEWS = "- Reports arrive by mail.\n- `# of GPUs` is a column.\n"
BUILT = (
    "mi300x_exporter-1.2.3.tar.gz",
    "mi300x_exporter-1.2.3-py3-none-any.whl",
    "mi300x-exporter_1.2.3-1+deb12_amd64.deb",
    "mi300x-exporter-report_1.2.3-1+deb12_amd64.deb",
)


def git(tree: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(tree), *command], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    for setting in (("user.name", "tester"), ("user.email", "tester@example.org")):
        git(tmp_path, "config", *setting)
    (tmp_path / "exporter").mkdir()
    (tmp_path / "exporter/__init__.py").write_text('"""A program."""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## 1.2.3 (2026-11-26)\n\n{NEWS}\n## 1.2.2 (2026-01-02)\n\n- Old.\n"
    )
    (tmp_path / ".gitignore").write_text("/dist/\n")
    commit(tmp_path)
    return tmp_path


def commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "A change")


def build(tree: Path) -> None:
    (tree / "dist").mkdir()
    for name in BUILT:
        (tree / "dist" / name).write_text(name)


def release(tree: Path, action: str, version: str = "1.2.3") -> tuple[int, str]:
    command = [sys.executable, str(SCRIPT), action, version]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_version_that_code_and_changelog_agree_on_is_tagged_with_its_news_and_nothing_else_happens(
    tree: Path,
) -> None:
    before = git(tree, "rev-parse", "HEAD")
    build(tree)
    assert release(tree, "check") == (0, "")
    assert git(tree, "tag", "--list") == ""
    code, said = release(tree, "tag")
    assert code == 0
    assert said.endswith("tagged v1.2.3; to publish it: git push origin v1.2.3\n")
    assert git(tree, "tag", "--list", "--format=%(contents)") == f"mi300x-exporter 1.2.3\n\n{NEWS}\n"
    assert git(tree, "rev-parse", "v1.2.3^{commit}") == before
    sums = (tree / "dist/SHA256SUMS").read_text().splitlines()
    assert sums == [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in BUILT]


def test_a_version_is_three_numbers(tree: Path) -> None:
    assert release(tree, "check", "v1.2") == (1, "VERSION: expected three numbers such as 1.2.3, found 'v1.2'\n")


def test_all_that_disagrees_is_told_at_once(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- New.\n")
    (tree / "stray").touch()
    code, said = release(tree, "check", "1.2.4")
    assert code == 1
    assert said.splitlines() == [
        "exporter/__init__.py: __version__ is '1.2.3', not '1.2.4'",
        "CHANGELOG.md: the first heading must be `## 1.2.4 (YYYY-MM-DD)`, found `## Unreleased`",
        "git: not committed: CHANGELOG.md, stray",
    ]


@pytest.mark.parametrize("heading", ["1.2.3", "1.2.3 (2026-13-01)", "1.2.30 (2026-11-26)"])
def test_the_changelog_dates_the_version(tree: Path, heading: str) -> None:
    (tree / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n- New.\n")
    commit(tree)
    code, said = release(tree, "check")
    assert code == 1
    assert f"found `## {heading}`" in said


def test_a_version_without_news_is_not_released(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-11-26)\n\n## 1.2.2 (2026-01-02)\n\n- Old.\n")
    commit(tree)
    assert release(tree, "check") == (1, "CHANGELOG.md: nothing stands below `## 1.2.3 (2026-11-26)`\n")


def test_a_version_is_tagged_once(tree: Path) -> None:
    git(tree, "tag", "v1.2.3")
    assert release(tree, "check") == (1, "git: the tag v1.2.3 is there already\n")


def test_what_was_not_built_is_not_tagged(tree: Path) -> None:
    build(tree)
    (tree / "dist" / BUILT[3]).unlink()
    code, said = release(tree, "tag")
    assert (code, said) == (1, "dist: mi300x-exporter-report_1.2.3-*.deb is missing: make test-packages\n")
    assert git(tree, "tag", "--list") == ""
