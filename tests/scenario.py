"""The machines of a Molecule scenario: a lab of its own, its inventory, and an ssh configuration for testinfra.

Usage, by molecule/shared/*.yml: python3 -m tests.scenario up|down
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from lab import settings as lab_settings
from lab import sshkey
from tests.lanes import scenario_lab

ROOT = Path(__file__).resolve().parent.parent
SSH_CONFIG = """\
Host {name}
  HostName {address}
  User root
  IdentityFile {key}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ControlMaster auto
  ControlPath /tmp/{lab}-%n-%r
  ControlPersist 60s
"""


def lab(name: str, *argv: str) -> None:
    """Run a command of the lab, under the scenario's name."""
    env = {**os.environ, "LAB_NAME": name}
    subprocess.run([sys.executable, "-m", "lab", *argv], cwd=ROOT, env=env, check=True)


def up(scenario: str, directory: Path, nodes: list[str]) -> None:
    """Start the machines that the scenario names, blank, and say how they are reached."""
    name = scenario_lab(scenario)
    lab(name, "recreate", *nodes)
    lab(name, "inventory", "--write", str(directory))
    settings = lab_settings.load({**os.environ, "LAB_NAME": name})
    hosts = [settings.node(node) for node in nodes]
    key = sshkey.ensure(settings)
    parts = [SSH_CONFIG.format(name=host.name, address=host.address, key=key, lab=name) for host in hosts]
    (directory / "ssh_config").write_text("\n".join(parts))


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.scenario")
    parser.add_argument("verb", choices=["up", "down"])
    verb = parser.parse_args().verb
    scenario = os.environ["MOLECULE_SCENARIO_NAME"]
    if verb == "up":
        up(scenario, Path(os.environ["SCENARIO_DIRECTORY"]), os.environ["SCENARIO_NODES"].split())
    else:
        lab(scenario_lab(scenario), "down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
