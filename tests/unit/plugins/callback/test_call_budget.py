# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback against a real ansible-playbook: local connection, and a fake ssh that runs the command here."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COLLECTIONS = Path(__file__).resolve().parents[4] / ".build" / "collections"

FAKE_SSH = """#!/bin/sh
# The last argument is the remote command, as ssh gets it; -O and -V are questions to the client.
for last in "$@"; do :; done
case "$1" in -V) echo OpenSSH_9.9 >&2; exit 0;; esac
exec /bin/sh -c "$last"
"""

PLAYBOOK = """
- name: Over the fake ssh
  hosts: far
  gather_facts: false
  roles:
    - noun
- name: On the controller
  hosts: here
  gather_facts: false
  tasks:
    - name: Say who is there
      ansible.builtin.command: "true"
      changed_when: false
    - name: Ask a far host by name
      ansible.builtin.raw: "true"
      changed_when: false
      delegate_to: far1
    - name: Ask far hosts in a loop
      ansible.builtin.raw: "true"
      changed_when: false
      delegate_to: "{{ item }}"
      loop: [far1, far2]
"""

ROLE_TASKS = """
- name: noun | Ask
  ansible.builtin.raw: printf 12345 # {{ 'secret-word' }}
  changed_when: false
- name: noun | Skip
  ansible.builtin.raw: "true"
  when: false
- name: noun | Change
  ansible.builtin.raw: "true"
  changed_when: inventory_hostname == 'far1'
  notify: Restart noun
- name: noun | Fail and go on
  ansible.builtin.raw: "false"
  changed_when: false
  ignore_errors: true
- name: noun | Send a file
  ansible.builtin.copy:
    content: "{{ 'x' * 50000 }}"
    dest: "{{ target }}/{{ inventory_hostname }}"
    mode: "0644"
"""

HANDLERS = """
- name: Restart noun
  ansible.builtin.raw: "true"
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("budget")
    ssh = directory / "ssh"
    ssh.write_text(FAKE_SSH)
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    (directory / "roles/noun/tasks").mkdir(parents=True)
    (directory / "roles/noun/handlers").mkdir()
    (directory / "roles/noun/tasks/main.yml").write_text(ROLE_TASKS)
    (directory / "roles/noun/handlers/main.yml").write_text(HANDLERS)
    (directory / "play.yml").write_text(PLAYBOOK)
    (directory / "tmp").mkdir()
    far = f"ansible_ssh_executable={ssh} ansible_ssh_transfer_method=piped ansible_python_interpreter={sys.executable}"
    (directory / "hosts").write_text(
        f"[far]\nfar1 ansible_host=127.0.0.2 {far}\nfar2 ansible_host=127.0.0.3 {far}\n"
        f"[here]\nhere1 ansible_connection=local ansible_python_interpreter={sys.executable}\n"
    )
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CALLBACKS_ENABLED": "quorum.kubeadm.call_budget",
        "ANSIBLE_CALL_BUDGET_OUTPUT": str(directory / "out" / "budget.json"),
        "ANSIBLE_LOCAL_TEMP": str(directory / "local"),
        "ANSIBLE_REMOTE_TEMP": str(directory / "remote"),
        "ANSIBLE_SSH_ARGS": "-o BatchMode=yes",
        "ANSIBLE_NOCOLOR": "1",
        "TMPDIR": str(directory / "tmp"),
    }
    environment.pop("ANSIBLE_CONFIG", None)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts", "play.yml", "-e", f"target={directory}"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((directory / "out" / "budget.json").read_text())
    found["stdout"] = done.stdout
    found["left_over"] = os.listdir(directory / "tmp")
    found["text"] = (directory / "out" / "budget.json").read_text()
    return found


def calls_of(report: dict[str, Any], name: str) -> int:
    return sum(task["remote_calls"] for task in report["tasks"] if task["name"].endswith(name))


def test_outcomes_per_role(report: dict[str, Any]) -> None:
    role = report["roles"]["noun"]
    assert (role["tasks"], role["skipped"], role["ignored"], role["failed"]) == (11, 2, 2, 0)
    # noun | Change on far1, the file on both, and the handler on far1
    assert role["changed"] == 4
    assert role["restarts"] == 1


def test_a_raw_task_is_one_call(report: dict[str, Any]) -> None:
    assert calls_of(report, "noun | Ask") == 2
    assert calls_of(report, "noun | Skip") == 0
    assert calls_of(report, "Restart noun") == 1


def test_copy_costs_several_calls_and_its_bytes(report: dict[str, Any]) -> None:
    copy = next(task for task in report["tasks"] if task["name"].endswith("Send a file"))
    assert copy["remote_calls"] >= 2 * 4
    assert copy["bytes_sent"] > 2 * 50_000
    ask = next(task for task in report["tasks"] if task["name"].endswith("noun | Ask"))
    assert ask["bytes_received"] == 2 * len("12345")


def test_delegated_calls_count_for_the_host_they_go_to(report: dict[str, Any]) -> None:
    assert report["hosts"]["here1"]["remote_calls"] == 0
    noun = report["roles_hosts"]["noun"]
    play = report["roles_hosts"]["(no role)"]
    assert play["far1"]["remote_calls"] == 2
    assert play["far2"]["remote_calls"] == 1
    assert report["hosts"]["far1"]["remote_calls"] == noun["far1"]["remote_calls"] + 2
    assert set(report["hosts"]) == {"far1", "far2", "here1"}


def test_local_calls_are_the_controllers(report: dict[str, Any]) -> None:
    assert report["hosts"]["here1"]["controller_calls"] >= 1
    assert report["hosts"]["here1"]["bytes_sent"] == 0
    assert report["hosts"]["far1"]["controller_calls"] == 0


def test_wall_and_skip_share(report: dict[str, Any]) -> None:
    assert 0 < report["roles"]["noun"]["wall"] <= report["wall"]
    assert report["skip_share"] == pytest.approx(report["totals"]["skipped"] / report["totals"]["tasks"], abs=1e-4)
    assert report["playbook"] == "play.yml"


def test_table_is_printed(report: dict[str, Any]) -> None:
    table = report["stdout"].split("CALL BUDGET", 1)[1]
    assert all(word in table for word in ("noun", "far1", "calls"))


def test_no_command_line_is_recorded_and_nothing_is_left(report: dict[str, Any]) -> None:
    assert "secret-word" not in report["text"]
    assert "printf" not in report["text"]
    assert not [name for name in report["left_over"] if "call_budget" in name]
