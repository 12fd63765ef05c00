# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is all publishers at once, and a company's mirror of them; and nodes cut off from all but the lab."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import network, publications
from lab.network import LABEL
from lab.podman import IMAGE_LABEL, RUN, inside
from lab.settings import Settings
from lab.shell import parallel, run, step, wait_for

NODE = "pub1"
PUBLISHERS = ("pkgs.k8s.io", "dl.k8s.io", "github.com", "registry.k8s.io", "ghcr.io")
MIRROR = "mirror.lab"
USER = "reader"
READY_TIMEOUT = 30.0
CA = "/usr/local/share/ca-certificates/lab-publishers.crt"
# The default route stays: without one the kernel has no way to a Service's address before kube-proxy turns it.
# The nodes' hosts file is a mount of podman's: it can be written, not replaced.
KNOW = """
sed '/# lab publishers$/d' /etc/hosts >/run/hosts && cat /run/hosts >/etc/hosts
echo '{address} {names} # lab publishers' >>/etc/hosts
cat >{ca} && update-ca-certificates >/dev/null 2>&1
"""
FENCE_TABLE = "lab_fence"
FENCE = """
nft -f - <<'END'
table inet {table} {{
  chain out {{
    type filter hook output priority -200;
    oifname lo accept
    ip daddr {{ {subnet}.0/24, 10.96.0.0/12, 10.244.0.0/16, 127.0.0.0/8, 224.0.0.0/4 }} accept
    meta nfproto ipv6 ip6 daddr {{ fe80::/10, ff00::/8 }} accept
    counter log prefix "fence: " reject
  }}
}}
END
"""
COUNT = "nft -j list chain inet {table} out"


@dataclass(frozen=True)
class Publisher:
    """The running stand-in."""

    settings: Settings
    tree: Path

    @property
    def address(self) -> str:
        """Its address in the lab."""
        return self.settings.node(NODE).address

    @property
    def fingerprint(self) -> str:
        """Of the key that signs the packages."""
        return (self.tree / "fingerprint").read_text().strip()

    @property
    def password(self) -> str:
        """The mirror's, for its user."""
        return (self.tree / "tls" / "password").read_text()

    @property
    def company_ca(self) -> str:
        """The certificate that vouches for the mirror alone."""
        return (self.tree / "tls" / "company-ca.pem").read_text()

    def facts(self) -> dict[str, str]:
        """What an administrator who uses the mirror has to know."""
        return {
            "mirror": MIRROR,
            "fingerprint": self.fingerprint,
            "ca": self.company_ca,
            "username": USER,
            "password": self.password,
        }

    def fetched(self) -> Counter[str]:
        """Bytes that each address got."""
        bytes_of: Counter[str] = Counter()
        for line in inside(self.settings, NODE, "cat /srv/log/access.log").splitlines():
            address, _host, _status, amount, _what = line.split(" ", 4)
            bytes_of[address] += int(amount)
        return bytes_of

    def requests(self) -> list[str]:
        """Every request: address, name, status, bytes, what."""
        return inside(self.settings, NODE, "cat /srv/log/access.log").splitlines()

    def forget(self) -> None:
        """Begin counting anew."""
        inside(self.settings, NODE, ": >/srv/log/access.log")


def up(settings: Settings, kube_version: str) -> Publisher:
    """Start the publisher anew."""
    bundle = settings.cache / "bundles" / kube_version
    tree = publications.tree(settings, bundle)
    image, net = publications.image(settings), network.ensure(settings)
    down(settings)
    command: list[str | Path] = [*RUN, "--detach", "--name", settings.container(NODE), "--hostname", NODE]
    command += ["--label", f"{LABEL}={settings.name}", "--label", f"{IMAGE_LABEL}={image}", "--log-driver", "none"]
    command += ["--network", net, "--ip", settings.node(NODE).address, "--volume", f"{tree}:/srv/publications:ro"]
    with step("publishers"):
        run([*command, image, "/usr/local/lib/publisher/serve"])
        ask = "curl -skf --resolve registry.k8s.io:443:127.0.0.1 https://registry.k8s.io/v2/"
        wait_for("the publishers", lambda: "{}" in inside(settings, NODE, ask, check=False), READY_TIMEOUT)
    return Publisher(settings, tree)


def down(settings: Settings) -> None:
    """Stop it; the nodes then meet nobody under these names."""
    run(["podman", "rm", "--force", "--ignore", "--time", "0", settings.container(NODE)])


def introduce(publisher: Publisher, names: Sequence[str]) -> None:
    """Let nodes find the publishers by name, and trust their certificates as a system trusts public ones."""
    script = KNOW.format(address=publisher.address, names=" ".join((*PUBLISHERS, MIRROR)), ca=CA)
    certificate = (publisher.tree / "tls" / "public-ca.pem").read_bytes()

    def tell(name: str) -> None:
        run(["podman", "exec", "-i", publisher.settings.container(name), "sh", "-ec", script], stdin=certificate)

    parallel(tell, names)


def fence(settings: Settings, names: Sequence[str]) -> None:
    """Cut the nodes' way to everything but the lab, and count what tries to go there."""
    script = FENCE.format(table=FENCE_TABLE, subnet=settings.subnet)
    parallel(lambda name: inside(settings, name, script), names)


def escapes(settings: Settings, names: Sequence[str]) -> dict[str, int]:
    """Packets that tried to leave the lab, by node."""

    def count(name: str) -> int:
        told: dict[str, Any] = json.loads(inside(settings, name, COUNT.format(table=FENCE_TABLE)))
        rules = [entry["rule"]["expr"] for entry in told["nftables"] if "rule" in entry]
        return sum(part["counter"]["packets"] for rule in rules for part in rule if "counter" in part)

    return dict(zip(names, parallel(count, names)))
