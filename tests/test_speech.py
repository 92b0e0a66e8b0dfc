from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from babel import Locale
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from hypothesis import given
from hypothesis import strategies as st

from exporter import speech as module
from exporter.speech import ABSENT, CATALOGUES, DOMAIN, SOURCE, languages, speech

ROOT = Path(__file__).parents[1]
SPOKEN_TO_PEOPLE = ("exporter", "deploy/grafana")
SPEAKING = {"_", "N_", "gettext", "ngettext", "pgettext"}
TRANSLATED = tuple(language for language in languages() if language != SOURCE)
every_language = pytest.mark.parametrize("language", languages())
every_translation = pytest.mark.parametrize("language", TRANSLATED)

GLOSSARY = {
    "active": "使用中",
    "busy": "運算時數",
    "capacity": "可用總時數",
    "coverage": "資料涵蓋率",
    "efficiency": "使用效率",
    "energy": "耗電量",
    "hotspot": "熱點溫度",
    "idle": "閒置",
    "kWh per busy GPU-hour": "每運算 GPU 小時耗電量",
    "owned": "已分配",
    "retired pages": "已停用記憶體分頁",
    "socket power": "GPU 封裝功率",
    "task API": "任務 API",
    "unallocated": "未分配",
    "unknown": "歸屬不明",
    "7-day median": "近 7 日中位數",
}
"""The one word for each thing, in the Chinese of Taiwan."""

FORBIDDEN = {
    "忙碌": "運算",
    "(管理|(?<!（)consumption) API": "任務 API",
    "未知": "歸屬不明",
    "擁有者": "使用者",
    "抓取紀錄": "監控歷史資料",
    "(?<!資料)涵蓋率": "資料涵蓋率",
    "用電量": "耗電量",
    "總時數(?<!可用總時數)": "可用總時數",
    "(?<!近 )7 日中位數": "近 7 日中位數",
    "未使用(?!的)": "未分配",
    "停用記憶體頁": "已停用記憶體分頁",
    "持有但閒置": "已分配但閒置",
    "最熱點": "熱點溫度",
    "插槽": "封裝",
    "信息|默認|軟件|服務器|內存|用戶|網絡|數據|通過|質量": "the words of Taiwan",
    "埠(?<!連接埠)": "連接埠",
    "占": "佔",
    "顏色越濃": "顏色越深",
}
"""Words that were, or could be, used for the same things; or that are not those of Taiwan."""


class Key(NamedTuple):
    """What an entry of a catalogue is found by."""

    context: str | None
    message: str | tuple[str, ...]
    """One text, or the forms of a plural."""


def _key(message: Message) -> Key:
    return Key(message.context, message.id if isinstance(message.id, str) else tuple(message.id))


def path(language: str, suffix: str) -> Path:
    return CATALOGUES / language.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.{suffix}"


@cache
def catalogue(language: str) -> Catalog:
    with path(language, "po").open("rb") as file:
        return read_po(file)


def entries(language: str) -> Iterator[tuple[Message, str]]:
    """Those of a catalogue, each form of a plural by itself."""
    for message in catalogue(language):
        if message.id:
            forms = (message.string,) if isinstance(message.string, str) else message.string
            yield from ((message, form) for form in forms or ())


def english(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@cache
def used() -> set[Key]:
    """What `make messages` finds in the code and the templates."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["babel"]["mappings"]
    methods = [(mapping["pattern"], mapping["method"]) for mapping in mappings]
    found = (entry for folder in SPOKEN_TO_PEOPLE for entry in extract_from_dir(ROOT / folder, methods))
    return {
        Key(context, message if isinstance(message, str) else tuple(message)) for _, _, message, _, context in found
    }


@every_translation
def test_every_word_that_is_used_is_translated_and_no_other(language: str) -> None:
    assert {_key(message) for message in catalogue(language) if message.id} == used()
    assert not catalogue(language).obsolete
    assert [message.id for message, form in entries(language) if not form or message.fuzzy] == []


def spoken(file: Path) -> Iterator[str]:
    """The texts that a file of code or a template hands to the functions of gettext."""
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".html":
        yield from re.findall(r'\b(?:_|n?gettext)\("([^"]*)"', source)
        return
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and call.args:
            name = getattr(call.func, "id", None) or getattr(call.func, "attr", None)
            text = call.args[1 if name == "pgettext" else 0] if name in SPEAKING else None
            if isinstance(text, ast.Constant):
                yield str(text.value)


def test_what_is_gathered_is_what_the_code_says_wherever_it_says_it() -> None:
    files = [
        file for folder in SPOKEN_TO_PEOPLE for file in (ROOT / folder).rglob("*") if file.suffix in {".py", ".html"}
    ]
    said = {text for file in files for text in spoken(file) if text}

    assert said == {key.message if isinstance(key.message, str) else key.message[0] for key in used()}


@every_translation
def test_translations_keep_the_braces_of_the_text(language: str) -> None:
    for message, form in entries(language):
        names = (message.id,) if isinstance(message.id, str) else message.id
        assert set(re.findall("{[^}]*}", form)) == set(re.findall("{[^}]*}", " ".join(names))), form


@every_translation
def test_what_is_loaded_is_what_translators_wrote(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))

    def texts(found: Catalog) -> dict[Key, object]:
        return {_key(message): message.string for message in found if message.id}

    committed = io.BytesIO(path(language, "mo").read_bytes())
    assert texts(read_mo(committed)) == texts(read_mo(io.BytesIO(compiled.getvalue()))), "make messages"


@every_translation
def test_one_term_has_one_translation(language: str) -> None:
    found = defaultdict(set)
    for message, form in entries(language):
        if message.context is None:
            found[english(message).casefold()].add(form)

    assert {term: forms for term, forms in found.items() if len(forms) > 1} == {}


def test_the_terms_of_the_glossary_are_its_words() -> None:
    written = {english(message).casefold(): form for message, form in entries("zh-TW") if message.context is None}

    assert {term: written.get(term.casefold(), word) for term, word in GLOSSARY.items()} == GLOSSARY


def chinese() -> Iterator[str]:
    """Every text in Chinese: what the catalogue holds, and the lines of the README but for its code."""
    yield from (form for _, form in entries("zh-TW"))
    readme = (ROOT / "README.zh-TW.md").read_text(encoding="utf-8")
    yield from re.sub(r"`[^`]*`|\]\([^)]*\)|[*!\[]", "", readme).splitlines()


def test_chinese_is_that_of_the_glossary_and_of_taiwan() -> None:
    forms = list(chinese())

    assert [(form, better) for wrong, better in FORBIDDEN.items() for form in forms if re.search(wrong, form)] == []


def test_punctuation_within_chinese_is_full_width() -> None:
    for form in chinese():
        assert not re.search(r"[\u4e00-\u9fff][,:;!?()]|[,:;!?(] ?[\u4e00-\u9fff]|[\u4e00-\u9fff]\)", form), form


def test_chinese_and_latin_are_set_apart_by_a_blank() -> None:
    for form in chinese():
        assert not re.search(r"[\u4e00-\u9fff][A-Za-z0-9{]|[A-Za-z0-9}][\u4e00-\u9fff]", form), form


@every_language
@given(st.integers(0, 10**9), st.integers(0, 3))
def test_every_language_writes_numbers_as_its_readers_do(language: str, whole: int, decimals: int) -> None:
    value = whole / 10**decimals
    pattern = f"#,##0.{'0' * decimals}" if decimals else "#,##0"

    assert speech(language).number(value, decimals) == format_decimal(value, pattern, Locale.parse(language, sep="-"))


@every_language
@given(st.integers(0, 10**6))
def test_every_language_writes_percent_as_its_readers_do(language: str, thousandths: int) -> None:
    locale = Locale.parse(language, sep="-")
    pattern = locale.percent_formats[None].pattern.replace("0%", "0.0%")

    assert speech(language).percent(thousandths / 1000) == format_percent(thousandths / 1000, pattern, locale)


def test_english_numbers_need_nothing_of_babel() -> None:
    program = (
        "import sys; from exporter.speech import speech; w = speech('en'); print(w.number(1234.5), w.percent(0.5)); "
    )
    told = subprocess.run(
        [sys.executable, "-c", program + "print('babel' in sys.modules)"], check=True, capture_output=True, text=True
    ).stdout
    assert told.split() == ["1,234.50", "50.0%", "False"]


@pytest.mark.parametrize(
    ("currency", "shown"),
    [
        ("TWD", "NT$58,068"),
        ("USD", "US$58,068.20"),
        ("JPY", "¥58,068"),
        ("CHF", "CHF\N{NO-BREAK SPACE}58,068.20"),
        ("credits", "58,068.20\N{NO-BREAK SPACE}credits"),
        (None, "58,068.20"),
    ],
)
def test_money_is_unmistakable_and_in_the_digits_of_a_bill(currency: str | None, shown: str) -> None:
    assert speech("zh-TW").money(58068.2, currency) == shown


def test_readers_of_english_know_the_dollar() -> None:
    assert speech("en").money(58068.2, "USD") == "$58,068.20"
    assert speech("en").money(58068.2, "TWD") == "NT$58,068"


@every_language
def test_what_is_absent_is_a_dash_in_every_language(language: str) -> None:
    words = speech(language)

    assert {words.number(None), words.percent(None), words.money(None, "TWD"), words.gibibytes(None)} == {ABSENT}
    assert words.change(None, 1.0) == words.change(1.0, 0.0) == ""


@every_language
@given(st.floats(1e-9, 1))
def test_a_little_is_never_shown_as_nothing(language: str, value: float) -> None:
    words = speech(language)

    for shown in (words.number(value), words.percent(value), words.money(value, "TWD"), words.gibibytes(value)):
        assert shown.startswith("<") or re.search("[1-9]", shown)


def test_what_fell_has_a_minus_sign() -> None:
    assert speech("en").change(0.9, 1.0) == "\N{MINUS SIGN}10%"
    assert speech("zh-TW").change(1.12, 1.0) == "+12%"


def test_days_are_named_in_their_language() -> None:
    assert speech("en").weekday(date(2025, 7, 22)) == "Tuesday"
    assert speech("zh-TW").weekday(date(2025, 7, 22)) == "星期二"


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (-5, "0 sec", "0 秒"),
        (0.4, "0 sec", "0 秒"),
        (59.9, "59 sec", "59 秒"),
        (60, "1 min", "1 分鐘"),
        (3600, "1 hr", "1 小時"),
        (12_000, "3 hr 20 min", "3 小時 20 分鐘"),
        (86_400, "1 day", "1 天"),
        (187_200, "2 days 4 hr", "2 天 4 小時"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, english: str, chinese: str) -> None:
    assert speech("en").duration(seconds) == english
    assert speech("zh-TW").duration(seconds) == chinese


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (-100, "just now", "剛剛"),
        (0.9, "just now", "剛剛"),
        (12, "12 seconds ago", "12 秒前"),
        (912, "15 minutes ago", "15 分鐘前"),
        (4000, "67 minutes ago", "67 分鐘前"),
        (200_000, "2 days ago", "2 天前"),
    ],
)
def test_ages_have_one_unit_and_are_never_in_the_future(seconds: float, english: str, chinese: str) -> None:
    assert speech("en").ago(seconds) == english
    assert speech("zh-TW").ago(seconds) == chinese


@every_language
def test_no_message_is_the_head_of_the_catalogue(language: str) -> None:
    assert speech(language).gettext("") == ""


def test_a_further_language_is_one_more_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    german = Catalog("de")
    german.add(", ", " und ")
    (folder := tmp_path / "de" / "LC_MESSAGES").mkdir(parents=True)
    with (folder / "exporter.mo").open("wb") as file:
        write_mo(file, german)
    monkeypatch.setattr(module, "CATALOGUES", tmp_path)

    words = speech.__wrapped__("de")
    assert languages.__wrapped__() == ("en", "de")
    assert words.listed(["a", "b"]) == "a und b"
    assert words.number(1234.5) == "1.234,50"
    assert words.percent(0.32) == "32,0\N{NO-BREAK SPACE}%"
    assert words.money(58068.2, "EUR") == "58.068,20\N{NO-BREAK SPACE}€"
    assert words.tag == "de"
