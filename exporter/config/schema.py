"""The config as JSON Schema, for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from exporter.config.sections import Config
from exporter.config.values import DURATION, DURATION_UNITS, SIZE, SIZE_UNITS


def schema() -> str:
    """Returns the JSON Schema of the config file: every key with its kind and default."""
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mi300x-exporter:config",
        **Config.model_json_schema(schema_generator=_Generator),
        "title": "Config of mi300x-exporter",
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class _Generator(GenerateJsonSchema):
    """Writes defaults as a file would have them."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        if "$ref" in found:  # a section; if its keys are all commented out it is null
            return {"anyOf": [{"$ref": found["$ref"]}, {"type": "null"}]}
        for pattern, units in ((DURATION, DURATION_UNITS), (SIZE, SIZE_UNITS)):
            if found.get("pattern") == f"^{pattern.pattern}$":
                found["default"] = _written(found["default"], units)
        return found

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:  # noqa: ARG002
        """A key is title enough."""
        return False


def _written(value: float, units: Mapping[str, float]) -> str:
    """Returns `10m`: a value in the largest unit of which it is a whole number."""
    unit = max(
        (unit for unit in units if value % units[unit] == 0), key=lambda unit: units[unit] if value else -units[unit]
    )
    return f"{value / units[unit]:g}{unit}"
