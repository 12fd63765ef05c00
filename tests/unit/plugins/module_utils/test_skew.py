"""Version policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import skew
from ansible_collections.quorum.kubeadm.plugins.module_utils.version import Version, parse_version

VERSIONS = st.builds(Version, st.just(1), st.integers(30, 40), st.integers(0, 20))


@pytest.mark.parametrize(
    ("kubelet", "api", "allowed"),
    [
        ("1.36.3", "1.36.3", True),
        ("1.36.4", "1.36.3", True),
        ("1.33.0", "1.36.3", True),
        ("1.32.9", "1.36.0", False),
        ("1.37.0", "1.36.9", False),
    ],
)
def test_fault_30_kubelet_with_api(kubelet: str, api: str, allowed: bool) -> None:
    verdict = skew.kubelet_with_api(parse_version(kubelet), parse_version(api))
    assert verdict.allowed is allowed
    assert bool(verdict.reason) is not allowed


@pytest.mark.parametrize(
    ("etcd", "kube", "allowed"), [("3.5.23", "1.36.0", False), ("3.5.24", "1.36.0", True), ("3.5.21", "1.34.0", True)]
)
def test_fault_30_etcd_with_kubernetes(etcd: str, kube: str, allowed: bool) -> None:
    assert skew.etcd_with_kubernetes(parse_version(etcd), parse_version(kube)).allowed is allowed


@pytest.mark.parametrize(
    ("running", "wanted", "path"),
    [
        ("1.34.2", "1.36.3", ("1.34.4", "1.35.4", "1.36.3")),
        ("1.34.4", "1.36.3", ("1.35.4", "1.36.3")),
        ("1.34.9", "1.35.4", ("1.35.4",)),
        ("1.32.1", "1.34.4", ("1.32.x", "1.33.x", "1.34.4")),
        ("1.36.1", "1.36.3", ("1.36.3",)),
    ],
)
def test_fault_30_path(running: str, wanted: str, path: tuple[str, ...]) -> None:
    assert skew.upgrade_path(parse_version(running), parse_version(wanted)) == path


@pytest.mark.parametrize(
    ("running", "wanted", "allowed"),
    [("1.35.4", "1.36.3", True), ("1.36.1", "1.36.3", True), ("1.34.4", "1.36.3", False), ("1.36.3", "1.35.4", False)],
)
def test_fault_30_upgrade(running: str, wanted: str, allowed: bool) -> None:
    assert skew.upgrade(parse_version(running), parse_version(wanted)).allowed is allowed


@pytest.mark.parametrize(
    ("running", "wanted", "path", "reason"),
    [
        ("3.6.14", "3.6.16", (), ""),
        ("3.6.16", "3.6.16", (), ""),
        ("3.5.32", "3.6.16", (), ""),
        ("3.5.20", "3.5.32", (), ""),
        ("3.6.11", "3.7.0", (), ""),
        ("3.4.30", "3.5.32", (), ""),
        ("3.5.31", "3.6.16", ("3.5.32", "3.6.16"), "must be 3.5.32 or newer before it becomes 3.6.16"),
        ("3.6.10", "3.7.0", ("3.6.11", "3.7.0"), "must be 3.6.11 or newer before it becomes 3.7.0"),
        ("3.4.30", "3.6.16", ("3.5.x", "3.6.16"), "skips 1 minor version(s)"),
        ("3.5.32", "3.7.0", ("3.6.x", "3.7.0"), "skips 1 minor version(s)"),
        ("3.6.16", "3.6.14", None, "cannot be downgraded"),
        ("3.6.16", "3.5.32", None, "cannot be downgraded"),
    ],
)
def test_fault_30_etcd_upgrade(running: str, wanted: str, path: tuple[str, ...] | None, reason: str) -> None:
    verdict = skew.etcd_upgrade(parse_version(running), parse_version(wanted))
    assert verdict.allowed is (reason == "")
    assert reason in verdict.reason
    assert verdict.path == (path or ())


ETCD = st.builds(Version, st.just(3), st.integers(4, 7), st.integers(0, 40))


@given(ETCD, ETCD)
def test_an_etcd_goes_up_by_one_minor_at_most(running: Version, wanted: Version) -> None:
    verdict = skew.etcd_upgrade(running, wanted)
    if verdict.allowed:
        assert running <= wanted
        assert wanted.minor - running.minor <= 1
    else:
        assert verdict.reason
        assert not verdict.path or verdict.path[-1] == str(wanted)


def test_site_gives_the_upgrade_command() -> None:
    verdict = skew.site(parse_version("1.35.4"), parse_version("1.36.3"), "hosts.yml")
    assert verdict.path == ("ansible-playbook playbooks/upgrade.yml -i hosts.yml -e kube_version=1.36.3",)
    assert (
        skew.upgrade_command("1.36.3", "")
        == "ansible-playbook playbooks/upgrade.yml -i <inventory> -e kube_version=1.36.3"
    )


@given(VERSIONS, VERSIONS)
def test_site_takes_the_running_version_and_nothing_else(running: Version, wanted: Version) -> None:
    verdict = skew.site(running, wanted, "")
    assert verdict.allowed == (running == wanted)
    assert bool(verdict.path) == (not verdict.allowed)


@given(VERSIONS, VERSIONS)
def test_an_upgrade_goes_up_by_one_minor_at_most(running: Version, wanted: Version) -> None:
    allowed = skew.upgrade(running, wanted).allowed
    assert allowed == (running <= wanted and wanted.minor - running.minor <= 1)


@given(VERSIONS, VERSIONS)
def test_a_path_ends_at_the_target_and_skips_no_minor(running: Version, wanted: Version) -> None:
    path = skew.upgrade_path(running, wanted)
    assert path[-1] == str(wanted)
    minors = [int(step.split(".")[1]) for step in path]
    assert all(after - before == 1 for before, after in zip(minors, minors[1:]))
    if wanted >= running:
        assert minors[0] - running.minor <= 1
