"""What the demo says of itself while it gets ready: a line for each step, and on a terminal a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def step(words: str, total: int) -> Iterator[Callable[[], None]]:
    """Tells on stderr of a step that has begun; yields what to call after each of its `total` parts."""
    console = Console(stderr=True, highlight=False)
    said = f"demo: {words}"
    if not console.is_terminal:
        console.print(said, markup=False, soft_wrap=True)
        yield lambda: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(said, total=total)
        yield lambda: progress.advance(task)
