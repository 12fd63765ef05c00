# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts become blank: one by its name, then all of them; then a new cluster begins on the same machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.shell import parallel
from tests.e2e.support import Run, Site
from tests.faults.cases import keep
from tests.faults.steps import Step, problem_of, refused, walk

MACHINES = ("lb1", "cp1", "cp2", "cp3", "w1", "w2")
# As LAB.md has it: a control plane that starts must not take the processors of those that serve.
CPUS = 1.0
RESET = "playbooks/reset.yml"
CONFIRM = ("-e", "reset_confirm=kubernetes")
# By other means than the collection's own second look: one line for each thing that a cluster has left.
LEFT_SCRIPT = r"""
ip -o link | grep -oE 'cni0|flannel[.0-9]*|kube-ipvs0|veth[0-9a-f]{8}'
for save in iptables-save ip6tables-save; do $save 2>/dev/null | grep -m 3 -E 'KUBE-|CNI-|FLANNEL'; done
nft list tables 2>/dev/null | grep -E 'kube-proxy|flannel'
awk '{print $2}' /proc/mounts | grep -E '^/var/lib/kubelet/|^/run/containerd/io.containerd|^/run/netns/cni-'
for program in kubelet etcd kube-apiserver kube-scheduler kube-controller kube-proxy flanneld coredns containerd-shim \
    haproxy keepalived; do pgrep -l "^$program"; done
for path in /etc/kubernetes/*.conf /etc/kubernetes/pki /etc/kubernetes/manifests/* /etc/cni/net.d/* \
    /var/lib/etcd/member /var/lib/kubelet/config.yaml /var/lib/kubelet/pki /root/.kube/config \
    /etc/systemd/system/kubelet.service; do
    ls -d "$path" 2>/dev/null
done
ip -o address show to VIP | grep -o VIP
true
"""


@dataclass
class Resets:
    """The steps, on one lab."""

    site: Site
    authority: str = ""

    def play(self, name: str, playbook: str, *arguments: str) -> Run:
        run = self.site.play(playbook, *arguments)
        keep(f"reset-{name}", run)
        return run

    def left(self, *names: str) -> str:
        """What a cluster has left on these machines."""
        script = LEFT_SCRIPT.replace("VIP", self.site.settings.vip)
        found = parallel(lambda name: self.site.on(name, "sh", "-c", script), names)
        return "; ".join(f"{name}: {', '.join(told.split())}" for name, told in zip(names, found) if told)

    def authority_now(self) -> str:
        return self.site.on("cp1", "sha256sum", "/etc/kubernetes/pki/ca.crt")

    def nodes(self) -> list[str]:
        return self.site.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()

    def begin(self) -> str:
        problem = problem_of(self.play("site", "site.yml"))
        self.authority = self.authority_now()
        return problem or ("" if self.left("w2") else "the look for leftovers sees nothing on a node that serves")

    def needed(self, name: str) -> str:
        """A host that the cluster has is not reset, and nothing on it has changed."""
        run = self.play(f"needed-{name}", RESET, "-e", f"reset_hosts={name}", *CONFIRM)
        return refused(run, "remove_node", name) or problem_of(self.play("needed-verify", "playbooks/verify.yml"))

    def without_words(self) -> str:
        """All hosts are not reset for a word that is not the cluster's name."""
        run = self.play("unconfirmed", RESET, "-e", "reset_hosts=all", "-e", "reset_confirm=yes")
        return refused(run, "kubernetes") or problem_of(self.play("unconfirmed-verify", "playbooks/verify.yml"))

    def removed(self) -> str:
        """What a removal has left blank is blank."""
        run = self.play("remove", "playbooks/remove_node.yml", "-e", "node=w2")
        if problem := problem_of(run):
            return problem
        run = self.play("removed", RESET, "-e", "reset_hosts=w2", *CONFIRM)
        return run.problem() or (f"changed: {run.changed()}" if run.changed() else "") or self.left("w2")

    def back(self) -> str:
        """On the same machine."""
        return problem_of(self.play("back", "playbooks/add_nodes.yml", "-e", "nodes=w2"))

    def forgotten(self) -> str:
        """Somebody has deleted its Node by hand, and everything is still on the machine."""
        self.site.kubectl("delete", "node", "w2")
        run = self.play("forgotten", RESET, "-e", "reset_hosts=w2", *CONFIRM)
        there = "it is a node again" if "w2" in self.nodes() else ""
        return run.problem() or there or self.left("w2")

    def everything(self) -> str:
        run = self.play("all", RESET, "-e", "reset_hosts=all", *CONFIRM)
        return run.problem() or self.left(*MACHINES)

    def again(self) -> str:
        """A cluster of its own: nothing of the old one is in it."""
        problem = problem_of(self.play("again", "site.yml"))
        return problem or ("it has the old CA" if self.authority_now() == self.authority else "")

    def steps(self) -> Iterator[Step]:
        """Every step; the first that fails is the last."""
        self.site.cluster.recreate()
        yield from walk(
            (
                ("`site` from blank machines", self.begin),
                ("`reset` of a worker that the cluster has: refused", lambda: self.needed("w2")),
                ("`reset` of a control plane that the cluster has: refused", lambda: self.needed("cp3")),
                ("`reset` of all with a wrong word: refused", self.without_words),
                ("the worker removed, then `reset` by its name: blank already", self.removed),
                ("`add_nodes` on the same machine", self.back),
                ("its Node deleted by hand, then `reset` by its name: blank", self.forgotten),
                ("`reset` of all hosts: blank", self.everything),
                ("`site` on the same machines: a new cluster", self.again),
                ("`site` again: nothing changes", lambda: problem_of(self.play("end", "site.yml"), unchanged=True)),
            )
        )
