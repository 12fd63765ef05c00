"""What of a release belongs to which hosts, as the roles ask for it."""

from __future__ import annotations

from ansible_collections.quorum.kubeadm.plugins.filter.release import FilterModule

FILTERS = FilterModule().filters()


def test_an_etcd_machine_needs_no_images() -> None:
    images = FILTERS["release_images"]
    assert images("1.36.3", ["etcd"]) == []
    assert len(images("1.36.3", ["worker"])) < len(images("1.36.3", ["control_plane", "etcd"]))


def test_an_etcd_machine_fetches_kubeadm_as_a_file_where_nodes_take_packages() -> None:
    downloads = FILTERS["release_downloads"]
    etcd = {row["component"] for row in downloads("1.36.3", "amd64", ["etcd"], packaged=True)}
    assert etcd == {"kubernetes", "etcd"}
    assert "kubernetes" not in {row["component"] for row in downloads("1.36.3", "amd64", ["worker"], packaged=True)}
