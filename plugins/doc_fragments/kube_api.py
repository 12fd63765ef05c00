# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules that talk to the Kubernetes API have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of the kubeconfig, on the host where the module runs, normally the controller.
      - Its current context is used. It needs a CA and a client certificate or a token.
        C(exec), C(auth-provider), C(proxy-url) and C(insecure-skip-tls-verify) are refused.
    type: path
    required: true
  endpoints:
    description:
      - API servers to try in this order, like V(https://192.0.2.10:6443), for example the virtual address first and
        then each control plane's own. The kubeconfig's server when empty.
      - An endpoint that refuses the connection, does not answer, or whose certificate is not of the kubeconfig's CA
        is passed over. An answer with an HTTP error in the 400s is final.
      - The one that answered is used for the rest of the call.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds that each request may be tried again while no endpoint answers or all answer 429 or 5xx, as an API
        server does just after its start. V(0) asks every endpoint once.
    type: int
    default: 30
notes:
  - Needs only Python's standard library where it runs, so it can be delegated to any node. PyYAML is needed only for a
    kubeconfig with YAML that Kubernetes' own programs do not write.
  - Proxies of the environment are not used.
  - In check mode the API server checks every change by a dry run and stores nothing.
  - An error names the endpoints, what was found at each, and what to do next, in RV(ignore:msg) and, split up, in
    RV(ignore:error).
"""
