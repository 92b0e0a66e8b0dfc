"""What all pages of reports share: templates, and the script of tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import jinja2

from exporter import pages

TABLES: Final = (__package__ or "", "tables.js")
"""The script that sorts tables, and says where they are wider than the screen."""


def environment(package: str | None, finalize: Callable[[object], object] | None = None) -> jinja2.Environment:
    """Returns the templates of a package, and those that reports share.

    Args:
        package: That has a folder `templates`.
        finalize: Makes of each value what is shown.
    """
    return pages.environment(package, __package__, finalize=finalize)
