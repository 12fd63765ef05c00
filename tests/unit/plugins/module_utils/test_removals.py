"""What a node still uses of what the target version took away."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import removal_table as table
from ansible_collections.quorum.kubeadm.plugins.module_utils import removals as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.findings import Finding
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_facts import KubeletFacts, StaticPod, UpgradeNode
from ansible_collections.quorum.kubeadm.plugins.module_utils.version import Version, parse_version

V134, V135, V136, V137 = Version(1, 34, 4), Version(1, 35, 4), Version(1, 36, 3), Version(1, 37, 0)
ENV, DEFAULT = "/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet"
# As kubeadm 1.35 writes it.
APISERVER = (
    "kube-apiserver", "--advertise-address=192.0.2.21", "--allow-privileged=true", "--authorization-mode=Node,RBAC",
    "--client-ca-file=/etc/kubernetes/pki/ca.crt", "--enable-admission-plugins=NodeRestriction",
    "--etcd-servers=https://127.0.0.1:2379", "--secure-port=6443", "--profiling=false",
)  # fmt: skip
ETCD = (
    "etcd", "--data-dir=/var/lib/etcd", "--feature-gates=InitialCorruptCheck=true", "--initial-cluster-state=existing",
    "--listen-metrics-urls=http://127.0.0.1:2381", "--snapshot-count=10000", "--watch-progress-notify-interval=5s",
)  # fmt: skip


def plane(component: str = "kube-apiserver", *flags: str, **kubelet: Any) -> UpgradeNode:
    pods = {"kube-apiserver": APISERVER, "etcd": ETCD, "kube-scheduler": ("kube-scheduler", "--leader-elect=true")}
    pods[component] = (*pods.get(component, (component,)), *flags)
    return UpgradeNode("cp1", "v2", {name: StaticPod("", args) for name, args in pods.items()}, KubeletFacts(**kubelet))


def worker(**kubelet: Any) -> UpgradeNode:
    return UpgradeNode("w1", kubelet=KubeletFacts(**kubelet))


def told(found: list[Finding]) -> list[tuple[str, str]]:
    assert all(finding.next_step for finding in found)
    return [(finding.level, finding.found) for finding in found]


@pytest.mark.parametrize("target", [V134, V135, V136, V137])
def test_what_kubeadm_writes_is_never_in_the_way(target: Version) -> None:
    config = {"evictionHard": {"nodefs.available": "10%"}, "failSwapOn": False, "rotateCertificates": True}
    args = ("--config=/var/lib/kubelet/config.yaml", "--node-ip=192.0.2.21", "--node-labels=a=b")
    node = plane(environment={ENV: args[1:], DEFAULT: ()}, config=config, config_present=True, args=args)
    assert subject.find(node, target) == []


def test_a_flag_of_the_kubelet_is_told_where_it_is_written() -> None:
    flag = "--pod-infra-container-image=registry.k8s.io/pause:3.10"
    node = worker(environment={DEFAULT: (flag,)}, args=(flag, "--v=2"))
    (found,) = subject.find(node, V135)
    assert (found.host, found.check, found.level) == ("w1", "removed", "fatal")
    assert found.found.startswith("/etc/default/kubelet sets --pod-infra-container-image, which kubelet 1.35 no longer")
    assert "kubelet_extra_args" in found.next_step
    assert subject.find(node, V134) == []


def test_a_flag_of_a_drop_in_is_seen_in_the_running_kubelet() -> None:
    (found,) = subject.find(worker(args=("--cloud-config", "/etc/cloud.conf")), V135)
    assert "the running kubelet's command line sets --cloud-config, which kubelet 1.34" in found.found
    assert "drop-in" in found.next_step


def test_kubeadm_1_35_takes_its_own_flag_out_of_its_own_file_itself() -> None:
    flag = "--pod-infra-container-image=registry.k8s.io/pause:3.10"
    node = worker(environment={ENV: (flag,)}, args=(flag,))
    assert subject.find(node, V135) == []
    assert len(subject.find(node, V136)) == 1, "kubeadm 1.36 does not do that any more"


@pytest.mark.parametrize("component", ["kube-apiserver", "kube-controller-manager", "kube-scheduler"])
def test_a_gate_that_is_gone(component: str) -> None:
    node = plane(component, "--feature-gates=ImageVolume=true,MemoryManager=true")
    (found,) = subject.find(node, V136)
    assert (
        f"/etc/kubernetes/manifests/{component}.yaml sets the feature gate MemoryManager, which Kubernetes 1.36 no "
        "longer has"
    ) in found.found
    assert f"kube_control_plane_{component.removeprefix('kube-').replace('-', '_').replace('apis', 'api_s')}_args" in (
        found.next_step
    )
    assert subject.find(node, V135) == []


@pytest.mark.parametrize(
    ("flag", "target", "count"),
    [
        ("--feature-gates=NodeSwap=false", V135, 1),
        ("--feature-gates=NodeSwap=true", V135, 0),
        ("--feature-gates=GitRepoVolumeDriver=true", V136, 1),
        ("--feature-gates=GitRepoVolumeDriver=true", V135, 0),
        ("--feature-gates=GitRepoVolumeDriver=false", V136, 0),
        ("--feature-gates=kube:NodeSwap=false", V135, 1),
        ("--feature-gates=NodeSwap=False", V135, 1),
        ("--feature-gates=AllAlpha=true", V136, 0),
        ("--feature-gates=", V136, 0),
    ],
)
def test_a_locked_gate_may_only_have_its_value(flag: str, target: Version, count: int) -> None:
    found = subject.find(plane("kube-apiserver", flag), target)
    assert len(found) == count
    assert all("locked to" in finding.found for finding in found)


def test_gates_in_the_kubelet_configuration() -> None:
    node = worker(config={"featureGates": {"MemoryManager": True, "ProcMountType": False, "ImageVolume": True}})
    assert [finding.found.split(", which")[0] for finding in subject.find(node, V136)] == [
        "/var/lib/kubelet/config.yaml (featureGates) sets the feature gate MemoryManager",
        "/var/lib/kubelet/config.yaml (featureGates) sets the feature gate ProcMountType",
    ]


def test_etcd_is_judged_by_its_own_version() -> None:
    node = plane("etcd", "--experimental-memory-mlock", "--enable-v2=true")
    assert [finding.found.split(", which")[1] for finding in subject.find(node, V136)] == [
        " etcd 3.6 no longer has: it would not start"
    ]
    assert len(subject.find(node, V137)) == 2


def test_what_kubeadm_wrote_for_etcd_3_5_it_writes_anew() -> None:
    node = plane(
        "etcd", "--experimental-initial-corrupt-check=true", "--experimental-watch-progress-notify-interval=5s"
    )
    assert subject.find(node, V137) == []
    extra = {"etcd": {"local": {"extraArgs": [{"name": "experimental-initial-corrupt-check", "value": "true"}]}}}
    assert len(subject.find_in_configuration(extra, V137)) == 1, "that is the user's"


@pytest.mark.parametrize(
    ("value", "levels"),
    [
        ("scheduling.k8s.io/v1alpha1=true", ["fatal"]),
        ("api/beta=true,scheduling.k8s.io/v1alpha1/workloads=true", ["fatal"]),
        ("storage.k8s.io/v1alpha1=true", ["warning"]),
        ("api/all=true", []),
        ("", []),
    ],
)
def test_an_api_that_is_no_longer_served(value: str, levels: list[str]) -> None:
    found = subject.find(plane("kube-apiserver", f"--runtime-config={value}"), V136)
    assert [finding.level for finding in found] == levels


@pytest.mark.parametrize(
    ("cgroup", "config", "target", "count"),
    [
        ("v1", {}, V135, 1),
        ("v1", {"failCgroupV1": True}, V135, 1),
        ("v1", {"failCgroupV1": False}, V135, 0),
        ("v1", {}, V134, 0),
        ("v2", {}, V135, 0),
        ("", {}, V135, 0),
        ("v1", None, V135, 0),
    ],
)
def test_cgroup_v1(cgroup: str, config: dict[str, Any] | None, target: Version, count: int) -> None:
    node = UpgradeNode("w1", cgroup=cgroup, kubelet=KubeletFacts(config=config))
    assert len(subject.find(node, target)) == count


def test_what_cannot_be_read_cannot_be_judged() -> None:
    node = UpgradeNode("cp1", "v2", {"etcd": StaticPod("a", None)}, KubeletFacts(config_present=True))
    paths = ["/etc/kubernetes/manifests/etcd.yaml", "/var/lib/kubelet/config.yaml"]
    assert [(one.check, one.level, one.found.split()[0]) for one in subject.find(node, V136)] == [
        ("unreadable", "fatal", path) for path in paths
    ]


@pytest.mark.parametrize(
    ("configuration", "target", "words"),
    [
        (None, V136, []),
        ({"apiServer": None, "etcd": [], "featureGates": 1}, V136, []),
        ({"featureGates": {"ControlPlaneKubeletLocalMode": True}}, V136, ["kubeadm 1.36 no longer has"]),
        ({"featureGates": {"ControlPlaneKubeletLocalMode": True}}, V135, []),
        ({"featureGates": {"ControlPlaneKubeletLocalMode": False}}, V135, ["locked to true"]),
        ({"featureGates": {"NodeLocalCRISocket": False}}, V136, ["locked to true"]),
        ({"apiVersion": "kubeadm.k8s.io/v1beta3"}, V136, []),
        ({"apiVersion": "kubeadm.k8s.io/v1beta3"}, V137, ["kubeadm 1.37 cannot read"]),
        (
            {"scheduler": {"extraArgs": [{"name": "feature-gates", "value": "MemoryManager=true"}]}},
            V136,
            ["scheduler.extraArgs of ClusterConfiguration"],
        ),
        ({"scheduler": {"extraArgs": {"feature-gates": "MemoryManager=true"}}}, V136, ["MemoryManager"]),
    ],
)
def test_the_clusters_configuration(configuration: Any, target: Version, words: list[str]) -> None:
    found = subject.find_in_configuration(configuration, target)
    assert len(found) == len(words)
    assert all(word in finding.found and finding.host == "" for word, finding in zip(words, found))


WORDS = st.lists(
    st.sampled_from(["--a", "--a=b", "-v", "2", "--feature-gates", "MemoryManager=true", "", "-", "--", "x"])
)


@given(WORDS)
def test_any_command_line_is_judged(words: list[str]) -> None:
    flags = subject.parse_flags(words)
    assert len(flags) <= len(words)
    found = subject.find(worker(args=tuple(words)), V136)
    in_use = any(one == "--feature-gates" and two == "MemoryManager=true" for one, two in zip(words, words[1:]))
    assert bool(found) == in_use


@given(st.text(), st.text())
def test_any_gates_are_judged(name: str, value: str) -> None:
    assert isinstance(subject.parse_gates([("feature-gates", f"{name}={value}"), (name, value)]), dict)


@given(st.sampled_from([V134, V135, V136]))
def test_what_is_gone_stays_gone(target: Version) -> None:
    later = Version(1, target.minor + 1, 0)
    for gate in (gate for gates in table.GATES.values() for gate in gates):
        node = plane("kube-scheduler", f"--feature-gates={gate}=true")
        assert not subject.find(node, target) or subject.find(node, later)


def test_the_table_is_written_in_versions() -> None:
    rows = (table.GATES, table.LOCKED, table.KUBEADM_GATES, table.KUBEADM_LOCKED, table.APIS, table.KUBEADM_APIS)
    for series in {series for row in (*rows, *table.FLAGS.values()) for series in row}:
        assert parse_version(f"{series}.0").series == series
    assert subject.etcd_of(Version(1, 38, 0)) == Version(3, 7, 0)
    assert subject.etcd_of(Version(1, 33, 0)) is None
