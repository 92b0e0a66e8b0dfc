from __future__ import annotations

import pytest

from exporter.devices.amdsmi.bindings import explained
from exporter.errors import LibraryMismatchError, LibraryMissingError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, LibraryMissingError),
        (ModuleNotFoundError("amdsmi"), LibraryMissingError),
        (KeyError("libamd_smi.so"), LibraryMissingError),
        (OSError("could not be loaded.\n  Tried:\n\t/opt/rocm/lib"), LibraryMissingError),
        (AttributeError("undefined symbol: amdsmi_init"), LibraryMismatchError),
    ],
)
def test_why_there_is_no_library_is_one_line_with_what_to_do(
    error: Exception | None, kind: type[LibraryMissingError | LibraryMismatchError]
) -> None:
    told = explained(error)
    assert type(told) is kind
    assert str(told) == " ".join(str(told).split())
    assert "ROCm" in str(told)
