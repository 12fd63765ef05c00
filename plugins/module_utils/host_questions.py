# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which questions node_info asks in the background: of API servers, of etcd, of the network segment."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_net, host_probe


def ask_others(asked: host_probe.Background, params: dict[str, Any]) -> None:
    """Start the questions to the API servers and to etcd."""
    for url in params["api_urls"]:
        silent = {"status": None, "error": "no answer in time", "latency_ms": None}
        asked.ask(f"api {url}", partial(host_probe.probe_api, url), silent, 2 * host_probe.API_TIMEOUT)
    if params["etcd"] and all(map(os.path.exists, host_probe.ETCD_FILES)):
        silent = {"msg": "the etcd on this host did not answer in time"}
        question = partial(host_probe.probe_etcd, *host_probe.ETCD_FILES)
        asked.ask("etcd", question, silent, 3 * host_probe.ETCD_TIMEOUT)


def ask_segment(asked: host_probe.Background, params: dict[str, Any], network: dict[str, Any]) -> None:
    """Start to listen to the network segment, and ask it who has an address."""
    seconds = params["vrrp_listen_seconds"]
    if seconds > 0:
        local = [a["address"] for a in network["addresses"] if a["family"] == 4]
        asked.ask("vrrp", partial(host_probe.listen_vrrp, seconds, local), [], seconds + 1)
    if params["arp_probe"]:
        ask_arp(asked, params["arp_probe"], network)


def ask_arp(asked: host_probe.Background, wanted: dict[str, Any], network: dict[str, Any]) -> None:
    """Ask on the interface that was named, or on the one whose subnet holds the address."""
    address = wanted["address"]
    interface = wanted["interface"] or host_net.interface_for(address, network["addresses"]) or ""
    silent = {"address": address, "interface": interface, "answered": False, "mac": None, "error": None}
    if interface in network["macs"]:
        question = partial(host_probe.probe_arp, address, interface, network["macs"][interface])
        asked.ask("arp", question, silent, host_probe.ARP_TRIES * host_probe.ARP_WAIT + 0.5)
    else:
        answer = dict(silent, error="no Ethernet interface has a subnet with this address")
        asked.ask("arp", partial(dict, answer), answer, 1)
