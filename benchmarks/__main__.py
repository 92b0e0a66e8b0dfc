"""What it costs, measured here and now: one table. No figure fails anything.

python -m benchmarks              every section
python -m benchmarks exporter     only that
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from benchmarks import accuracy, answers, exporter, fault_days, libraries, prompt, report, scale
from benchmarks.figures import Figure, as_table, machine

SECTIONS: dict[str, Callable[[], AsyncIterator[Figure]]] = {
    "exporter": exporter.figures,
    "answers": answers.figures,
    "report": report.figures,
    "accuracy": accuracy.figures,
    "fault-days": fault_days.figures,
    "scale": scale.figures,
    "libraries": libraries.figures,
    "prompt": prompt.figures,
}


async def _measure(names: Sequence[str]) -> list[Figure]:
    return [figure for name in names for figure in [found async for found in SECTIONS[name]()]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what it costs: one table.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; without any: all")
    names = parser.parse_args().sections or list(SECTIONS)
    if unknown := set(names) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    before = machine()
    figures = asyncio.run(_measure(names))
    print(f"before: {before}\nafter:  {machine()}\n\n{as_table(figures)}")


if __name__ == "__main__":
    main()
