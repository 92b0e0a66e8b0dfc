"""What pages of one file share: templates that escape every value, and a policy that lets nothing run or load."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import jinja2
from markupsafe import Markup


def environment(*packages: str | None) -> jinja2.Environment:
    """Returns the templates of packages; those of the first come before others of the same name."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages if package]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Style:
    """Style sheets of pages without scripts."""

    sheets: tuple[tuple[str, str], ...]
    """The package and the name of each."""

    @cached_property
    def text(self) -> Markup:
        """All of them."""
        texts = [
            (resources.files(package) / "templates" / name).read_text(encoding="utf-8") for package, name in self.sheets
        ]
        return Markup("".join(texts))  # noqa: S704  files of this program

    @cached_property
    def policy(self) -> str:
        """The content security policy of a page that has them."""
        digest = base64.b64encode(hashlib.sha256(self.text.encode()).digest()).decode()
        return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
