"""How the program speaks to people: its words and its numbers in each language.

The words are gettext catalogues, `locale/<language>/LC_MESSAGES/exporter.po`, whose msgid is the English text; the
forms of numbers, money and dates come from the CLDR through Babel. A further language is one more catalogue.
"""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from babel import Locale

DOMAIN: Final = "exporter"
CATALOGUES: Final = Path(__file__).parent / "locale"
SOURCE: Final = "en"
"""The language of the msgids; it needs no catalogue."""
ABSENT: Final = "\N{EN DASH}"
"""What stands for a figure that there is not."""

_SPACE: Final = "\N{NO-BREAK SPACE}"
_GIB: Final = 2**30
_CASH_DIGITS: Final = 2
"""The place of these among Babel's facts of a currency: a bill in New Taiwan dollars has no cents."""


def N_(message: str) -> str:  # noqa: N802  the name that gettext's tools look for
    """Marks a message of a table or constant for the catalogues; `Speech.gettext` translates it where it is shown."""
    return message


@cache
def languages() -> tuple[str, ...]:
    """Returns the languages there are, as settings and options name them: `en`, then `zh-TW` and the like."""
    found = CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")
    return SOURCE, *sorted(path.parents[1].name.replace("_", "-") for path in found)


@cache
def speech(language: str) -> Speech:
    """Returns how to speak one of `languages()`.

    Raises:
        FileNotFoundError: There is no catalogue of it.
    """
    if language == SOURCE:
        return Speech(language, gettext.NullTranslations())
    return Speech(language, gettext.translation(DOMAIN, CATALOGUES, [language.replace("-", "_")]))


@dataclass(frozen=True)
class Speech:
    """Speaks one language. What is absent is an en dash, and a little is never shown as nothing."""

    language: str
    catalogue: gettext.NullTranslations

    def gettext(self, message: str) -> str:
        """Returns the message in this language."""
        return self.catalogue.gettext(message) if message else ""  # "" would be the head of the catalogue

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        """Returns the form of a message that goes with a count."""
        return self.catalogue.ngettext(singular, plural, count)

    def pgettext(self, context: str, message: str) -> str:
        """Returns the message as it is meant in that context: one of two that English has one word for."""
        return self.catalogue.pgettext(context, message)

    @cached_property
    def tag(self) -> str:
        """The language as HTML names it: `zh-Hant-TW`."""
        return str(self._locale).replace("_", "-")

    @cached_property
    def own_name(self) -> str:
        """What its speakers call the language: `English`, `繁體中文`."""
        locale = self._locale
        return str(locale.languages.get(f"{locale.language}_{locale.script}", locale.languages[locale.language]))

    def number(self, value: float | None, decimals: int = 2) -> str:
        """Returns `1,234.50`; what would round to nothing is `<0.01`."""
        if value is None:
            return ABSENT
        return self._formed("{}", decimals, value)

    def percent(self, ratio: float | None, decimals: int = 1) -> str:
        """Returns `93.4%`."""
        if ratio is None:
            return ABSENT
        return self._formed(self._percentage, decimals, ratio * 100)

    def change(self, value: float | None, before: float | None) -> str:
        """Returns `+12%`, relative to before; empty where either is absent or there was nothing before."""
        if value is None or not before:
            return ""
        return self._percentage.format(f"{(value / before - 1) * 100:+.0f}".replace("-", "\N{MINUS SIGN}"))

    def gibibytes(self, count: float | None) -> str:
        """Returns `12.5 GiB`, of bytes."""
        return ABSENT if count is None else f"{self.number(count / _GIB, 1)}{_SPACE}GiB"

    def money(self, amount: float | None, currency: str | None) -> str:
        """Returns `NT$58,068` or `US$12.50`: in the digits that a bill in that currency has.

        Args:
            amount: How much.
            currency: Its ISO 4217 code; other words stand behind the number, None leaves it bare.
        """
        if amount is None:
            return ABSENT
        if currency not in self._locale.currencies:
            return f"{self.number(amount)}{_SPACE}{currency}" if currency else self.number(amount)
        return self._formed(*_bill(self._locale, currency), amount)

    def duration(self, seconds: float) -> str:
        """Returns `12 sec`, `5 min`, `3 hr 20 min` or `2 days 4 hr`; below 0, where clocks disagree, it is nothing."""
        minutes, rest = divmod(int(max(seconds, 0)), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        if days:
            parts = {"day": days, "hour": hours}
        elif hours:
            parts = {"hour": hours, "minute": minutes}
        elif minutes:
            parts = {"minute": minutes}
        else:
            parts = {"second": rest}
        largest = next(iter(parts))
        return " ".join(
            _amount_of_time(self._locale, unit, count) for unit, count in parts.items() if count or unit == largest
        )

    def ago(self, seconds: float) -> str:
        """Returns `15 minutes ago`, and `just now` within a second or where clocks disagree."""
        from babel.dates import format_timedelta  # noqa: PLC0415

        if seconds < 1:
            return self.gettext("just now")
        return format_timedelta(timedelta(seconds=-seconds), threshold=2, add_direction=True, locale=self._locale)

    def weekday(self, day: date) -> str:
        """Returns `Tuesday`."""
        from babel.dates import format_date  # noqa: PLC0415

        return format_date(day, "EEEE", locale=self._locale)

    def aside(self, text: str, note: str) -> str:
        """Returns `text (note)`."""
        return self.gettext("{text} ({note})").format(text=text, note=note)

    def named(self, name: str, value: str) -> str:
        """Returns `name: value`."""
        return self.gettext("{name}: {value}").format(name=name, value=value)

    def listed(self, names: list[str] | tuple[str, ...]) -> str:
        """Returns `one, another`."""
        return self.gettext(", ").join(names)

    @cached_property
    def _locale(self) -> Locale:
        # Imported where it is used: most commands need no more than English words.
        from babel import Locale  # noqa: PLC0415

        return Locale.parse(self.language, sep="-")

    @cached_property
    def _separators(self) -> dict[int, str]:
        if self.language == SOURCE:  # as Python writes numbers, which spares the short commands Babel and its data
            return {}
        from babel.numbers import get_decimal_symbol, get_group_symbol, get_minus_sign_symbol  # noqa: PLC0415

        symbols = {",": get_group_symbol, ".": get_decimal_symbol, "-": get_minus_sign_symbol}
        own = {char: symbol(self._locale) for char, symbol in symbols.items()}
        return str.maketrans({char: symbol for char, symbol in own.items() if char != symbol})

    @cached_property
    def _percentage(self) -> str:
        if self.language == SOURCE:
            return "{}%"
        pattern = self._locale.percent_formats[None]
        return f"{pattern.prefix[0]}{{}}{pattern.suffix[0]}"

    def _formed(self, form: str, decimals: int, value: float) -> str:
        """Returns the number in groups of three digits, as all languages but those of India write them.

        Babel's own formatting takes ten times as long: a second and more for the tables of a thousand GPUs.
        """
        least = 10.0**-decimals
        sign, shown = ("<", least) if 0 < value <= least / 2 else ("", value)
        digits = f"{shown:,.{decimals}f}"
        if self._separators:
            digits = digits.translate(self._separators)
        return sign + form.format(digits)


@lru_cache(maxsize=1024)
def _amount_of_time(locale: Locale, unit: str, count: int) -> str:
    """Returns `5 min`. Babel takes a tenth of a millisecond for it: too long for each GPU of a thousand."""
    from babel.units import format_unit  # noqa: PLC0415

    return format_unit(count, f"duration-{unit}", "short", locale=locale)


@cache
def _bill(locale: Locale, currency: str) -> tuple[str, int]:
    """Returns the form of amounts in a currency, and their decimals.

    Of the symbol in this language and that in English the longer: who reads `$` in Taiwan would have to guess.
    """
    from babel.numbers import get_currency_symbol  # noqa: PLC0415

    symbol = max((get_currency_symbol(currency, language) for language in (SOURCE, locale)), key=len)
    pattern = locale.currency_formats["standard"]
    prefix, suffix = (affix[0].replace("¤", symbol) for affix in (pattern.prefix, pattern.suffix))
    if prefix[-1:].isalpha():
        prefix += _SPACE
    return f"{prefix}{{}}{suffix}", bill_digits(currency)


def bill_digits(currency: str | None) -> int:
    """Returns the decimals that a bill in a currency has, as the CLDR says; 2 where it does not know the currency."""
    from babel.core import get_global  # noqa: PLC0415

    fractions = get_global("currency_fractions")
    return int(fractions.get(currency or "DEFAULT", fractions["DEFAULT"])[_CASH_DIGITS])
