# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""block_yaml reads what it reads exactly as PyYAML does, and refuses the rest."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.block_yaml import BlockYamlError, loads

KEYS = st.text("abNo-_.y1/", min_size=1, max_size=6)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 10**12),
    st.text("abcXYZ019+/=", max_size=20),
    st.text(max_size=5),
    st.integers(1, 65535).map("https://api.example.org:{}".format),
    st.sampled_from(["10.0.0.1", "10.96.0.0/12", "4m0s", "v1.36.3", "kubernetes-admin@kubernetes", "it's", "a b", ""]),
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=6
    ),
    max_size=5,
)
# Pieces that are near the edge of what is read, so that random texts are often valid.
EDGES = r"""a b 1 0 1.5 ~ : :: - ' " # | > % @ ` ? , [ { null yes {} [] --- x/y 10.0.0.1 0x1F 1e3 1:30 2026-01-31
    &a *a ! = << 2001:db8::/32 ::1 10.0.0.1,fd00::1 1h2m 0b1 1_0 .inf -1 +1 012 1:: \n é
    --a=*,b -v=2 --a --- -- -a: 100Mi 10% 0.5Gi 1G 1E 1.0 -0 -0.0 -.5 1. .5 10.0.0.1:6443
    a<b a{b} a[b] a?b a!b a&b a|b a;b $x a'b a"b a\\b (a) a~"""
PIECES = st.sampled_from([*EDGES.split(), ": ", "- ", " #", "\n---\n", "\n", "\n  ", " ", "\t", "\r", "\x85", "\u2028"])


@given(TREES)
def test_what_is_dumped_in_block_style_is_read_back_or_refused(tree: dict[str, object]) -> None:
    text = yaml.safe_dump(tree, default_flow_style=False, width=10**6)
    try:
        found = loads(text)
    except BlockYamlError:
        return
    assert found == yaml.safe_load(text)


@given(st.lists(PIECES, max_size=25).map("".join))
@example("a: b\n c: d")
@example("a:\n- b\n- - c\n  - d")
@example("a: 'it''s'\nb: \"x\\ny\"")
@example("a: 012")
@example(" ---")
@example("#\ra")
@example("# x\n---\n---\na: b")
@example("- a: b\n  c: d\n-\n  e: f\n- - g")
@example("a: =")
@example("a:\n   - b\n  - c")
def test_a_text_means_what_it_means_to_pyyaml_or_nothing(text: str) -> None:
    try:
        found = loads(text)
    except BlockYamlError:
        return
    theirs = yaml.safe_load(text)
    assert found == theirs
    assert repr(found) == repr(theirs)


def test_kubeadm_writes_nothing_that_is_refused() -> None:
    text = """\
apiServer:
  certSANs:
  - 192.0.2.100
  extraArgs:
  - name: audit-log-maxage
    value: "30"
  timeoutForControlPlane: 4m0s
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
controllerManager: {}
dns:
  disabled: false
encryptionAlgorithm: RSA-2048
etcd:
  local:
    dataDir: /var/lib/etcd
networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16,fd00::/48
  serviceSubnet: 2001:db8::/112
proxy: {}
"""
    assert loads(text) == yaml.safe_load(text)


def test_a_static_pod_and_a_kubelet_configuration() -> None:
    text = """\
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.21:6443
spec:
  containers:
  - command:
    - kube-controller-manager
    - --controllers=*,bootstrapsigner,tokencleaner
    - -v=2
    image: registry.k8s.io/kube-controller-manager:v1.35.4
    resources:
      requests:
        cpu: 100m
        memory: 100Mi
evictionHard:
  nodefs.available: 10%
  imagefs.available: 1Gi
kubeAPIQPS: 50
memoryThrottlingFactor: 0.9
oomScoreAdj: -999
status: {}
"""
    assert loads(text) == yaml.safe_load(text)
    assert loads(text)["memoryThrottlingFactor"] == 0.9


@pytest.mark.parametrize(
    "text",
    [
        "a: |\n  b",
        "a: &x b",
        "a: {b: c}",
        "a: yes",
        "a: 0x10",
        "a: 1.5e3",
        "a: .5",
        "a: 2026-01-31",
        "a: b\na: c",
        "a: b # c",
        "\ta: b",
    ],
)
def test_what_needs_pyyaml_is_refused(text: str) -> None:
    with pytest.raises(BlockYamlError, match="line"):
        loads(text)
