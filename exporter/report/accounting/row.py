"""What all rows of a report have in common, as report.json publishes them."""

from __future__ import annotations

import ast
from inspect import cleandoc, getsource
from itertools import pairwise
from textwrap import dedent
from typing import Any, Final

from pydantic import BaseModel, ConfigDict


def _published(schema: dict[str, Any], row: type[Row]) -> None:
    """Describes the fields, and leaves the schema open.

    Readers have to bear fields that later versions add; only the making of a row refuses what it does not know.
    """
    del schema["additionalProperties"]
    for name, meaning in meanings(row).items():
        schema["properties"][name]["description"] = meaning


_NOT_KEPT: Final[set[str]] = set()


class Row(BaseModel):
    """A row of the report, as report.json publishes it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra=_published,
    )

    def model_post_init(self, _context: object, /) -> None:
        """Forgets which fields were given: all are, and the sets take half of the memory of a day of 100,000 tasks."""
        object.__setattr__(self, "__pydantic_fields_set__", _NOT_KEPT)


def meanings(row: type[Row]) -> dict[str, str]:
    """Returns the docstrings of a row's fields, which its source alone has.

    Pydantic would read them for every row at each start, in a tenth of the time that all imports take.
    """
    found: dict[str, str] = {}
    for kind in reversed([kind for kind in row.__mro__ if kind is not Row and issubclass(kind, Row)]):
        (definition,) = ast.parse(dedent(getsource(kind))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                    found[name] = cleandoc(meaning)
    return found
