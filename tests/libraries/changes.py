"""What may be wrong with a node's library: changes that are laid over a root."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from tests.libraries.machine import Machine
from tests.support.roots import VENV

_NEXT_VERSION = r"""
int amdsmi_get_lib_version(unsigned *version) {
    int (*known)(unsigned *) = (int (*)(unsigned *))dlsym(RTLD_NEXT, "amdsmi_get_lib_version");
    int status = known(version);
    version[0] += 1;  // the year, or the major
    return status;
}
"""
NONSENSE = (
    "int amdsmi_get_gpu_metrics_info(void *gpu, void *metrics) { (void)gpu; memset(metrics, 0x55, 1024); return 0; }"
)
"""Every metric is 0x55…, and the call a success."""
CRASH = "int amdsmi_get_gpu_metrics_info(void) { __builtin_trap(); }"
HANG = "int amdsmi_get_gpu_metrics_info(void) { for (;;) pause(); }"


def remove_library(machine: Machine) -> None:
    """The bindings are there, and what they are to load is not."""
    for file in _libraries(machine.root):
        _remove(machine, file)


def remove_bindings(machine: Machine) -> None:
    """The node has a library and no bindings but PyPI's, which the exporter brings along."""
    for folder in _bindings(machine.root):
        _remove(machine, folder)


def lay_out_as_rocm(machine: Machine) -> None:
    """The bindings stand in the folder of one ROCm release only, beside what is left of an older one."""
    newest, older = (machine.root / f"opt/rocm/core-{release}/share/amd_smi/amdsmi" for release in ("7.14", "7.9"))
    shutil.copytree(_bindings(machine.root)[0], _over(machine, newest))
    for library in _libraries(machine.root):
        # Where bindings look, from where they are: the first, later ones; the second, Debian 13's.
        for folder in ("lib", "lib/x86_64-linux-gnu"):
            place = _over(machine, newest.parents[2] / folder / library.name)
            place.symlink_to(f"/{library.relative_to(machine.root)}")
    _over(machine, older / "__init__.py").write_text("raise ImportError('of an older release')\n")
    remove_bindings(machine)


def advance_version(machine: Machine) -> None:
    """Library and bindings are of the next major version, which nobody has seen yet."""
    put_before(machine, _NEXT_VERSION)
    for folder in _bindings(machine.root):
        text = (folder / "_version.py").read_text()
        major = re.search(r"\d+", text)
        assert major is not None
        newer = text.replace(major[0], str(int(major[0]) + 1), 1)
        _over(machine, folder / "_version.py").write_text(newer)


def put_before(machine: Machine, calls: str) -> None:
    """Some calls of the library do something else.

    Args:
        machine: whose library it is.
        calls: their C code; `dlsym(RTLD_NEXT, …)` is the real one.
    """
    library = next(file for file in _libraries(machine.root) if not file.is_symlink())
    soname = _soname(library)
    # The real library under another name, and in its place one that is linked to it.
    hidden = soname[:-2] + "._"
    real = _over(machine, library.with_name(hidden))
    real.write_bytes(_replaced(library.read_bytes(), soname, hidden))
    source = machine.folder / "calls.c"
    source.write_text(f"#include <dlfcn.h>\n#include <string.h>\n#include <unistd.h>\n{calls}\n")
    # The real library may want a newer libc than the compiler's.
    linked = ("-Wl,--no-as-needed,--allow-shlib-undefined", f"-Wl,-soname,{soname}")
    command = ["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", *linked, str(source), str(real)]
    subprocess.run([*command, "-o", str(_over(machine, library))], check=True)


def remove_calls(machine: Machine, *calls: str) -> None:
    """A release has done away with calls: neither library nor bindings have them."""
    for folder in _bindings(machine.root):
        init = folder / "__init__.py"
        removal = "".join(f"\nglobals().pop({call!r}, None)" for call in calls)
        _over(machine, init).write_text(init.read_text() + removal)


def remove_symbol(machine: Machine, symbol: str) -> None:
    """The library is of another release than the bindings: it lacks what they bind as they are imported."""
    for library in _libraries(machine.root):
        if not library.is_symlink():
            _over(machine, library).write_bytes(_replaced(library.read_bytes(), symbol, symbol[:-1] + "_"))


def pypi_first(machine: Machine) -> dict[str, str]:
    """Returns the variables that put PyPI's bindings before the node's own; where they look, they find its library."""
    site = next(machine.root.glob(f"{VENV}/lib/python3*/site-packages"))
    assert (site / "amdsmi").is_dir()
    library = _libraries(machine.root)[0]
    found = _over(machine, machine.root / "opt/rocm/lib/libamd_smi.so")
    found.symlink_to(f"/{library.relative_to(machine.root)}")
    return {"PYTHONPATH": f"/{site.relative_to(machine.root)}"}


def _libraries(root: Path) -> list[Path]:
    return sorted(root.glob("usr/lib/x86_64-linux-gnu/libamd_smi.so*"))


def _bindings(root: Path) -> list[Path]:
    """Returns the folders of the node's own bindings: in Debian 13 one, later one with a copy."""
    return [folder.parent for folder in root.glob("usr/*/**/amdsmi/_version.py")]


def _over(machine: Machine, place: Path) -> Path:
    """Returns where a file must be written to lie over that of the root."""
    target = machine.folder / "changes" / place.relative_to(machine.root)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _remove(machine: Machine, place: Path) -> None:
    """Makes the root appear without a file or folder: a whiteout, in the words of overlayfs."""
    os.mknod(_over(machine, place), stat.S_IFCHR, os.makedev(0, 0))


def _soname(library: Path) -> str:
    told = subprocess.run(["readelf", "-d", str(library)], check=True, capture_output=True, text=True).stdout
    found = re.search(r"soname: \[(.+)\]", told)
    assert found is not None
    return found[1]


def _replaced(data: bytes, old: str, new: str) -> bytes:
    """Replaces one whole string of an object file by another of the same length."""
    assert len(old) == len(new)
    before, after = (b"\0%b\0" % text.encode() for text in (old, new))
    assert before in data
    return data.replace(before, after)
