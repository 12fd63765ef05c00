# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the certificates that all hosts have told of, print them once, and fail when anything failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_judge import Limits, judge
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Row, names
from ansible_collections.quorum.kubeadm.plugins.modules.certificate_report import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import certificate_table, verify_table
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.report_file import certificates_of, why, write_document

# By these a task that failed is told, where its failure was not to end the play.
BROKEN = ("error", "exception", "module_stderr", "unreachable")


def unwritten(hosts: Sequence[str], hostvars: Mapping[str, Any], register: str) -> list[Row]:
    """Hosts whose metrics could not be written: they would show what was true once."""
    results = {name: hostvars[name].get(register) or {} for name in hosts}
    step = "let node_exporter's textfile collector and kube_certificates_metrics_dir have the same directory there"
    lost = [name for name, told in results.items() if any(told.get(sign) for sign in BROKEN)]
    return [Row("metrics", name, "fail", why(results[name]), step) for name in lost]


class ActionModule(ActionBase):
    """Runs on the controller and connects to nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(SPEC)
        values = task_vars or {}
        hosts = [str(name) for name in values["ansible_play_hosts_all"]]
        now = datetime.now(timezone.utc)
        found, rows = certificates_of(hosts, values["hostvars"], args["register"])
        rows += judge(found, Limits(now, args["warn_days"], args["fail_days"]))
        rows += unwritten(hosts, values["hostvars"], args["metrics_register"])
        shown = certificate_table.together(rows)
        document = certificate_table.document(found, rows, shown, now)
        verdict = certificate_table.verdict(shown, len(found), len(hosts))
        if args["output"] == "json":
            Display().display(verify_table.one_line(document))
        else:
            missing = [name for name in args["hosts"] if name not in hosts]
            notes = [f"hosts not looked at, this run was limited: {names(missing)}"] if missing else []
            Display().display(certificate_table.table(found, rows, now))
            Display().display(verify_table.table(shown, notes, verdict) if shown or notes else verdict)
        if args["output_file"]:
            write_document(args["output_file"], document, "the report on certificates")
        # Everything has been printed: the result does not repeat it.
        result.update(changed=False, counts=document["certificates"]["counts"], msg=verdict)
        if not document["certificates"]["ok"]:
            result.update(failed=True, msg=f"{verdict}: {verify_table.failing(shown)}")
        return result
