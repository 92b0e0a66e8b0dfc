"""A spreadsheet under construction: figures as numbers in formats of their own, names and ids as text, no formulas.

XlsxWriter writes it. What CSV cannot say, that `0856123` is no number and `SEPT2` no date, is in the type of each cell.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final

import xlsxwriter

from exporter.names import visible
from exporter.report.accounting.figures import Figure, Form, Usage
from exporter.report.render.cells import title
from exporter.speech import Speech, bill_digits
from exporter.table import width_of

Line = tuple[Sequence["Value"], Sequence[str]]
"""Cells and their number formats."""
Value = str | float | date | datetime | None

TEXT: Final = "@"
COUNT: Final = "#,##0"
HOURS: Final = "#,##0.00"
PERCENT: Final = "0.0%"
DATE: Final = "yyyy-mm-dd"
TIME: Final = "yyyy-mm-dd hh:mm:ss"

_OPTIONS: Final = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_MADE: Final = datetime(2000, 1, 1)  # noqa: DTZ001  so that the same figures give the same bytes
_GIB: Final = 2**30
_MOST_CHARACTERS: Final = 32_767
"""Of a cell."""
_MOST_OF_A_NAME: Final = 31
"""Characters of a sheet's name."""
_NOT_IN_A_NAME: Final = re.compile(r"[\[\]:*?/\\]")
_WIDTHS: Final = 8, 44


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A column of a table: a title, a cell for each row, and the number format of the cells."""

    title: str
    value: Callable[[Any], Value]
    form: str = TEXT


class Book:
    """A workbook.

    Args:
        speech: Of titles.
        currency: Of money.
    """

    def __init__(self, speech: Speech, currency: str | None) -> None:
        self._file = io.BytesIO()
        self._workbook = xlsxwriter.Workbook(self._file, _OPTIONS)
        self._workbook.set_properties({"created": _MADE})
        self._formats: dict[tuple[str, bool], Any] = {}
        self._names: set[str] = {"history"}  # Excel keeps it to itself
        self.speech = speech
        self._currency = currency

    @property
    def money(self) -> str:
        """The number format of money, in the digits that a bill has."""
        digits = bill_digits(self._currency)
        return "#,##0" + ("." + "0" * digits if digits else "")

    def titled_money(self, word: str) -> str:
        """Returns `Cost (TWD)`."""
        return self.speech.aside(word, self._currency) if self._currency else word

    def column(self, word: str, value: Callable[[Any], Value], form: str = TEXT) -> SheetColumn:
        """Returns a column whose title is translated."""
        return SheetColumn(self.speech.gettext(word), value, form)

    def text(self, word: str, field: str) -> SheetColumn:
        """Returns a column of a field as text."""
        return self.column(word, attrgetter(field))

    def joined(self, word: str, field: str) -> SheetColumn:
        """Returns a column of a list of names."""
        return self.column(word, lambda row: " + ".join(getattr(row, field)))

    def count(self, word: str, field: str) -> SheetColumn:
        """Returns a column of whole numbers."""
        return self.column(word, attrgetter(field), COUNT)

    def figures(self, told: Mapping[str, Figure]) -> list[SheetColumn]:
        """Returns a column for each figure of rows with a usage."""

        def column(name: str, figure: Figure) -> SheetColumn:
            return SheetColumn(
                self.titled(figure),
                lambda row: self.scaled(figure, getattr(row.usage, name)) if row.usage else None,
                self.formatted(figure),
            )

        return [column(name, figure) for name, figure in told.items()]

    def scaled(self, figure: Figure, value: float | None) -> float | None:
        """Returns a figure in the unit of its number format."""
        return value / _GIB if value is not None and figure.form is Form.BYTES else value

    def formatted(self, figure: Figure) -> str:
        """Returns the number format of a figure."""
        match figure.form:
            case Form.RATIO | Form.COVERAGE:
                return PERCENT
            case Form.BYTES:
                return '#,##0.0" GiB"'
            case Form.MONEY:
                return self.money
            case Form.HOURS | Form.ENERGY | Form.QUOTIENT:
                return HOURS

    def titled(self, figure: Figure) -> str:
        """Returns what a figure is called, with its unit if it is energy or money."""
        word = title(figure, self.speech)
        return self.titled_money(word) if figure.form is Form.MONEY else word

    def totals(self, told: Mapping[str, Figure], usage: Usage, before: Usage | None = None) -> Iterator[Line]:
        """Yields a line for each figure of the whole, beside what it was before, if that is known."""
        for name, figure in told.items():
            values = [getattr(some, name) for some in (usage, before) if some]
            form = self.formatted(figure)
            yield (
                [self.titled(figure), *(self.scaled(figure, value) for value in values)],
                [TEXT] + [form] * len(values),
            )

    def table(self, name: str, columns: Sequence[SheetColumn], rows: Sequence[Any]) -> None:
        """Adds a sheet of a table, whose heads stay in sight and filter."""
        sheet = self._workbook.add_worksheet(self._sheet_name(name))
        heads = [column.title for column in columns]
        lines = [[column.value(row) for column in columns] for row in rows]
        self._line(sheet, 0, heads, [TEXT] * len(heads), bold=True)
        for place, line in enumerate(lines, 1):
            self._line(sheet, place, line, [column.form for column in columns])
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, len(rows), max(len(columns) - 1, 0))
        self._widen(sheet, [heads, *lines])

    def page(self, name: str, lines: Sequence[Line], heads: int) -> None:
        """Adds a sheet of lines, each of cells and their number formats.

        Args:
            name: Of the sheet, as near as a sheet's name can be.
            lines: From the first row on.
            heads: The row, from 0, of the last that stays in sight; it is bold, as is the first.
        """
        sheet = self._workbook.add_worksheet(self._sheet_name(name))
        for place, (values, forms) in enumerate(lines):
            self._line(sheet, place, values, forms, bold=place in (0, heads))
        sheet.freeze_panes(heads + 1, 0)
        self._widen(sheet, [values for values, _ in lines[heads:]])

    def shade(self, rows: int, columns: int) -> None:
        """Colours the cells of the last sheet's table by their values, but for its first column."""
        sheet = self._workbook.worksheets()[-1]
        scale = {"type": "2_color_scale", "min_color": "#FFFFFF", "max_color": "#3FB3A4"}
        if rows and columns > 1:
            sheet.conditional_format(1, 1, rows, columns - 1, scale)

    def closed(self) -> bytes:
        """Returns the file."""
        self._workbook.close()
        return self._file.getvalue()

    def _line(
        self, sheet: Any, place: int, values: Iterable[Value], forms: Iterable[str], *, bold: bool = False
    ) -> None:
        for column, (value, form) in enumerate(zip(values, forms, strict=True)):
            if isinstance(value, str):
                sheet.write_string(place, column, visible(value)[:_MOST_CHARACTERS], self._format(form, bold=bold))
            elif isinstance(value, date):
                sheet.write_datetime(place, column, value, self._format(form, bold=bold))
            elif value is not None:
                sheet.write_number(place, column, value, self._format(form, bold=bold))

    def _format(self, form: str, *, bold: bool) -> Any:
        if (form, bold) not in self._formats:
            self._formats[form, bold] = self._workbook.add_format({"num_format": form, "bold": bold})
        return self._formats[form, bold]

    def _widen(self, sheet: Any, lines: Sequence[Sequence[Value]]) -> None:
        least, most = _WIDTHS
        for place in range(max(map(len, lines), default=0)):
            texts = (
                str(line[place]) if not isinstance(line[place], float) else "0" * 10
                for line in lines
                if place < len(line)
            )
            sheet.set_column(place, place, min(most, max(least, *(width_of(visible(text)) + 2 for text in texts))))

    def _sheet_name(self, wanted: str) -> str:
        """Returns a name that no other sheet has and that spreadsheets allow."""
        clean = _NOT_IN_A_NAME.sub(" ", visible(wanted)).strip(" '") or "–"
        name, copy = clean[:_MOST_OF_A_NAME].rstrip(" '"), 1
        while name.lower() in self._names:
            copy += 1
            mark = f" ({copy})"
            name = clean[: _MOST_OF_A_NAME - len(mark)] + mark
        self._names.add(name.lower())
        return name
