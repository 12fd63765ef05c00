# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet's service on this host: whether it runs what is on the disk, and its restart."""

from __future__ import annotations

import os

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_units import LOG_LINES, Unit, read_units
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host as KubeadmHost
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_run import censor

UNIT = "kubelet.service"
PROGRAM = "/usr/bin/kubelet"
# What the kubelet reads when it starts, and never again.
READS = (
    PROGRAM,
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/etc/systemd/system/kubelet.service",
    "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
)
RESTART_SECONDS = 90.0


class KubeletHost:
    """The real service."""

    def __init__(self, host: Host | None = None) -> None:
        self.host = host or Host()

    def out_of_date(self) -> str:
        """Why the kubelet has to be restarted; "" when it runs what is on the disk."""
        unit = read_units(self.host, [UNIT])[UNIT]
        if not unit.is_running:
            return f"it is {unit.active}"
        if unit.reload_needed:
            return "its unit changed"
        return self._replaced(unit) or next((f"{path} changed" for path in READS if self._is_newer(unit, path)), "")

    def _replaced(self, unit: Unit) -> str:
        """A program that a package brought is as old as the package was made: its time tells nothing."""
        try:
            runs = os.readlink(f"/proc/{unit.main_pid}/exe")
        except OSError:
            return "its process cannot be seen"
        return f"{PROGRAM} changed" if runs.endswith(" (deleted)") else ""

    def _is_newer(self, unit: Unit, path: str) -> bool:
        try:
            return unit.is_older_than(os.stat(self.host.real(path)).st_mtime_ns)
        except FileNotFoundError:
            return False

    def restart(self) -> None:
        """Restart the service. Its pods run on."""
        self._control("restarted", ["systemctl", "daemon-reload"], ["systemctl", "restart", UNIT])

    def stop(self) -> None:
        """Stop the service. Its pods run on."""
        self._control("stopped", ["systemctl", "stop", UNIT])

    def _control(self, what: str, *commands: list[str]) -> None:
        for command in commands:
            answer = self.host.run(command, timeout=RESTART_SECONDS)
            if answer.code:
                raise CommandError(
                    f"the kubelet could not be {what}",
                    where=" ".join(command),
                    found=f"{answer.text.strip()[-500:]}\n{self.why()}",
                    next_step="mend what its log names: journalctl -u kubelet; then run the same playbook again",
                )

    def why(self) -> str:
        """The last lines of its log."""
        return censor(KubeadmHost().journal("kubelet", LOG_LINES))
