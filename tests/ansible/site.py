"""deploy/ansible/site.yml on a machine, and what Ansible says of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ansible.machine import Machine
from tests.support import registry

DEPLOY = Path(__file__).resolve().parents[2] / "deploy/ansible"
_GROUPS = ("mi300x_node", "mi300x_report", "mi300x_portal", "mi300x_prometheus")
_RECAP = re.compile(r"^(\S+)\s*: (ok=.*)$", re.MULTILINE)
HOST = "gpu1"


@dataclass(frozen=True)
class Play:
    """A run of ansible-playbook."""

    code: int
    output: str
    recap: Mapping[str, int]
    """What it counted of the machine: ok, changed, failed, …"""


@dataclass(frozen=True)
class Site:
    """An inventory of one machine that is in every group."""

    machine: Machine
    folder: Path

    def play(self, *options: str, source: Path | None = None, **variables: Any) -> Play:
        """Runs the playbook; the variables are the host's."""
        pip = {"PIP_INDEX_URL": registry.setting("index-url"), "PIP_CERT": "/etc/pip.crt"}
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.machine.ports["ssh"],
            "ansible_user": "root",
            "ansible_ssh_common_args": " ".join(self.machine.ssh_options),
            "mi300x_exporter_environment": {name: value for name, value in pip.items() if value},
            "mi300x_prometheus_address": "127.0.0.1",
        }
        if source is not None:
            host["mi300x_exporter_source"] = str(source)
        inventory = self.folder / "inventory.json"
        groups: dict[str, Any] = {group: {"hosts": {HOST: {}}} for group in _GROUPS}
        inventory.write_text(json.dumps({"all": {"hosts": {HOST: host | variables}, "children": groups}}))
        # As it is on most controllers: in the language of a shell, without a terminal.
        environment = os.environ | {"LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(self.folder)}
        program = Path(sys.prefix, "bin/ansible-playbook")
        command: list[str | Path] = [program, "-i", inventory, *options, DEPLOY / "site.yml"]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        counted = next((counts for host, counts in _RECAP.findall(done.stdout) if host == HOST), "")
        recap = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", counted)}
        return Play(done.returncode, done.stdout, recap)
