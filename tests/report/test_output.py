from __future__ import annotations

import ast
import gettext
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from exporter.demo.cluster import USERS
from exporter.report import output
from exporter.report.options import Format
from exporter.report.output import WRITTEN, printed
from exporter.report.render import text
from exporter.report.window import Window, window
from exporter.speech import SOURCE, languages, speech
from tests.support.reports import enlarged, sample

EVERYTHING: Final[tuple[Format, ...]] = (*WRITTEN, "brief", "text-full", "markdown", "legacy")


def span(to: str | None = None) -> Window:
    return window("2025-07-22", to, "Asia/Taipei", datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def files(*arguments: Any, headings: str | None = None) -> dict[str, bytes]:
    found = output.files(*arguments, headings=headings)
    return {path: content if isinstance(content, bytes) else b"".join(content) for path, content in found.items()}


@pytest.mark.parametrize(
    ("wanted", "needed"), [("json", set()), ("csv", set()), ("text", {"wcwidth"}), ("html", {"wcwidth", "jinja2"})]
)
def test_a_format_loads_only_its_own_libraries(wanted: Format, needed: set[str]) -> None:
    program = (
        "import sys, exporter.report.command\n"
        "from exporter.report.output import printed\n"
        "from tests.support.reports import sample\n"
        "made = sample(8)\n"
        f"printed(made.report, made.timeline, 'en', {wanted!r}, 80)\n"
        "print({name.split('.')[0] for name in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(ast.literal_eval(run.stdout))

    assert loaded & {"apprise", "jinja2", "rich", "scipy", "wcwidth", "xlsxwriter"} == needed


def test_a_day_is_written_to_a_folder_of_its_date() -> None:
    made = sample(8)

    assert set(files(made.report, made.timeline, span(), "en", WRITTEN)) == {
        f"2025-07-22/{name}"
        for name in ("report.html", "report.json", "summary.txt", "gpus.csv", "users.csv", "tasks.csv")
    }


def test_a_range_is_written_to_a_folder_of_both_dates() -> None:
    made = sample(8, to="2025-07-23")

    assert set(files(made.report, made.timeline, span("2025-07-23"), "zh-TW", ["markdown"])) == {
        "2025-07-22_2025-07-23/report.md"
    }


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_the_same_figures_give_the_same_bytes(language: str) -> None:
    once, again = sample(8), sample(8)

    assert files(once.report, once.timeline, span(), language, EVERYTHING) == files(
        again.report, again.timeline, span(), language, EVERYTHING
    )


def test_a_report_for_one_user_names_nobody_else_in_any_file() -> None:
    made = sample(16, only=frozenset({"easycard"}))
    found = files(made.report, made.timeline, span(), "en", EVERYTHING)
    names = {path: {user for user in USERS if user in content.decode("utf-8-sig")} for path, content in found.items()}

    assert any(spell.has_others for lane in made.timeline.lanes for spell in lane.spells)
    assert set().union(*names.values()) == {"easycard"}


class Missing(gettext.NullTranslations):
    """What a catalogue falls back to: here it must never come to that."""

    def gettext(self, message: str) -> str:
        raise AssertionError(f"not translated: {message}")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        raise AssertionError(f"not translated: {msgid1}, {msgid2} of {n}")


@pytest.mark.parametrize("language", [language for language in languages() if language != SOURCE])
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"to": "2025-07-28"},
        {"now": "2025-07-22T03:17"},
        {"tasks": "labels"},
        {"tasks": "none", "history": False},
        {"history": False, "price": None},
    ],
)
def test_no_word_of_any_format_falls_back_to_english(
    language: str, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech(language).catalogue, "_fallback", Missing())
    made = enlarged(sample(16, **case), 1 if "to" in case else 9)
    only = made.report.model_copy(update={"only_users": ["itrd", "admin"], "only_nodes": ["colab-gpu1"]})

    for report in (made.report, only, only.model_copy(update={"users": [], "tasks": [], "waste": []})):
        assert files(report, made.timeline, span(case.get("to")), language, (*EVERYTHING, "xlsx"))
        assert text.task_report(report, language)


def test_headings_of_csv_are_words_only_where_a_language_is_asked_for() -> None:
    made = sample(8)

    for headings, first in ((None, "hostname,gpu,"), ("en", "Node,GPU,"), ("zh-TW", "節點,GPU,")):
        (gpus, *_) = (
            text.decode("utf-8-sig")
            for text in files(made.report, made.timeline, span(), "zh-TW", ["csv"], headings=headings).values()
        )
        assert gpus.startswith(first)
        assert gpus == printed(made.report, made.timeline, "zh-TW", "csv", 80, headings=headings)


@pytest.mark.parametrize("wanted", ["brief", "text", "text-full", "csv", "json", "html", "markdown"])
def test_standard_output_gets_what_a_file_would(wanted: Format) -> None:
    made = sample(8)
    written = files(made.report, made.timeline, span(), "en", [wanted]).values()

    width = 80 if wanted == "brief" else 120
    assert printed(made.report, made.timeline, "en", wanted, width) in {text.decode("utf-8-sig") for text in written}
