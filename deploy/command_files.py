"""Man pages and shell completion, made from the command line itself: `python -m deploy.command_files FOLDER`.

They are laid below FOLDER as Debian has them below /usr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path

import click
from click.shell_completion import get_completion_class
from click_man.man import ManPage

from exporter import __version__
from exporter.cli import cli

NAME = "exporter"
COMPLETION = {
    "bash": f"share/bash-completion/completions/{NAME}",
    "zsh": f"share/zsh/vendor-completions/_{NAME}",
    "fish": f"share/fish/vendor_completions.d/{NAME}.fish",
}
"""Where each shell looks."""
_SECTIONS = {"Examples:": "EXAMPLES", "Exit code:": "EXIT STATUS"}
"""What a block of a command's help that is not to be wrapped begins with, and the section that it is."""
_OF_THE_PROGRAM = r"""
.SH EXIT STATUS
.TP
0
Done.
.TP
1
Failed.
.TP
2
The command line or the config is not usable.
.TP
3
A report was written, but a source was unavailable, a node was observed too little, or somebody did not get it.
.SH FILES
.TP
.I /etc/mi300x\-exporter/config.yaml
The config of the services; it shows every key with its default.
.TP
.I /etc/mi300x\-exporter/tasks\-token
The token of the consumption API, readable by root only; empty: no token.
.TP
.I /var/lib/mi300x\-exporter/reports
The daily reports.
"""


def pages() -> Iterator[tuple[str, str]]:
    """Yields the name of each man page, and its text as troff reads it."""
    yield from pages_of(click.Context(cli, info_name=NAME, **cli.context_settings))


def completion(shell: str) -> str:
    """Returns what a shell reads to complete the command line."""
    of_shell = get_completion_class(shell)
    assert of_shell is not None
    return of_shell(cli, {}, NAME, f"_{NAME.upper()}_COMPLETE").source()


def pages_of(context: click.Context) -> Iterator[tuple[str, str]]:
    """Yields the same of one command, and of those below it."""
    command = context.command
    end = f".SH SEE ALSO\n.BR {NAME} (1)\n" if context.parent else _OF_THE_PROGRAM.lstrip()
    yield f"{context.command_path.replace(' ', '-')}.1", _page(context) + end
    for name, one in sorted(_commands(command).items()):
        yield from pages_of(click.Context(one, info_name=name, parent=context))


def _page(context: click.Context) -> str:
    command = context.command
    prose, sections = _told(cleandoc(command.help or ""))
    page = ManPage(context.command_path)
    page.version = __version__
    page.short_help = _escaped(_in_short(command))
    page.description = prose
    page.synopsis = " ".join(command.collect_usage_pieces(context))
    records = [option.get_help_record(context) for option in command.get_params(context)]
    page.options = [(option, _escaped(meaning)) for option, meaning in filter(None, records)]
    page.commands = [(name, _escaped(_in_short(one))) for name, one in sorted(_commands(command).items())]
    return str(page) + sections


def _commands(command: click.Command) -> Mapping[str, click.Command]:
    return command.commands if isinstance(command, click.Group) else {}


def _in_short(command: click.Command) -> str:
    return (command.short_help or (command.help or "").partition("\n")[0]).rstrip(".")


def _told(words: str) -> tuple[str, str]:
    """Returns the prose of a help, and its sections; click marks what it is not to wrap with a backspace."""
    prose, sections = [], []
    for paragraph in words.split("\n\n"):
        if not paragraph.startswith("\b\n"):
            prose.append(_escaped(paragraph))
            continue
        block = paragraph.removeprefix("\b\n")
        head = next((head for head in _SECTIONS if block.startswith(head)), "")
        lines = f".nf\n{_escaped(cleandoc(block.removeprefix(head)).strip())}\n.fi"
        if head:
            sections.append(f".SH {_SECTIONS[head]}\n{lines}\n")
        else:
            prose.append(lines)
    return "\n.PP\n".join(prose), "".join(sections)


def _escaped(words: str) -> str:
    """Returns words as troff has to read them: a hyphen that can be copied, and no line that is a request."""
    lines = words.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)


def main() -> None:
    """Writes all of it below the folder that the command line names."""
    files = {f"share/man/man1/{name}": text for name, text in pages()}
    files |= {path: completion(shell) for shell, path in COMPLETION.items()}
    for path, text in files.items():
        (file := Path(sys.argv[1]) / path).parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
