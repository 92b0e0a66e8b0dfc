"""Man pages and completion files; `make test-packages` has shells and lintian read them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from deploy import command_files
from exporter.cli import cli

PAGES = dict(command_files.pages())


def commands(command: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Each with what its page is called."""
    yield "-".join(("exporter", *names)), command
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from commands(one, *names, name)


def test_each_command_has_a_page_that_names_its_options_and_no_other_page_is_there() -> None:
    assert PAGES.keys() == {f"{name}.1" for name, _ in commands(cli)}
    for name, command in commands(cli):
        for parameter in command.params:
            for option in parameter.opts:
                assert option.replace("-", r"\-") in PAGES[f"{name}.1"]


def test_examples_and_exit_codes_are_sections_whose_lines_are_not_wrapped() -> None:
    page = PAGES["exporter-report.1"]
    examples = page.partition(".SH EXAMPLES\n.nf\n")[2].partition("\n.fi\n")[0].splitlines()
    assert all(line.startswith("exporter report") for line in examples)
    assert "\n.SH EXIT STATUS\n.nf\n0 done; 1 failed" in page
    assert not [name for name, text in PAGES.items() if "\b" in text]


@pytest.mark.parametrize(
    ("words", "page"), [("--to\n.5 s", "\\-\\-to\n\\&.5 s"), ("'tis", "\\&'tis"), ("C:\\new", "C:\\enew")]
)
def test_no_word_of_a_help_is_a_request_to_troff(words: str, page: str) -> None:
    @click.command(help=words)
    def command() -> None: ...

    ((_, text),) = command_files.pages_of(click.Context(command, info_name="exporter"))
    assert f".SH DESCRIPTION\n{page}\n" in text


def test_all_files_are_where_debian_looks_for_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "deploy.command_files", str(tmp_path)], check=True)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        *(f"share/man/man1/{name}" for name in PAGES),
        "share/bash-completion/completions/exporter",
        "share/zsh/vendor-completions/_exporter",
        "share/fish/vendor_completions.d/exporter.fish",
    }
