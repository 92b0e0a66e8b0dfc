"""What pages of one file share: templates that escape every value, and a policy that lets nothing load.

Nothing runs but the page's own script: the policy names the hashes of the one style sheet and the one script, so that a
hostile name could do nothing even if it got through.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import jinja2
from markupsafe import Markup


def environment(*packages: str | None, finalize: Callable[[object], object] | None = None) -> jinja2.Environment:
    """Returns the templates of packages; those of the first come before others of the same name.

    Args:
        packages: Each has a folder `templates`.
        finalize: Makes of each value what is shown.
    """
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages if package]),
        autoescape=True,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Page:
    """The style sheets of a page, and its scripts."""

    sheets: tuple[tuple[str, str], ...]
    """The package and the name of each."""
    scripts: tuple[tuple[str, str], ...] = ()
    """Likewise; none: nothing runs."""

    @cached_property
    def style(self) -> Markup:
        """All style sheets."""
        return _joined(self.sheets)

    @cached_property
    def script(self) -> Markup:
        """All scripts."""
        return _joined(self.scripts)

    @cached_property
    def policy(self) -> str:
        """The content security policy of a page that has them."""
        scripts = f"script-src {_digest(self.script)}; " if self.scripts else ""
        return (
            f"default-src 'none'; style-src {_digest(self.style)}; {scripts}img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )


def _joined(files: tuple[tuple[str, str], ...]) -> Markup:
    texts = [(resources.files(package) / "templates" / name).read_text(encoding="utf-8") for package, name in files]
    return Markup("".join(texts))  # noqa: S704  files of this program


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
