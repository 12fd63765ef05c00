# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SHA-256 of published files, by the publisher's URL. `python3 -m maintenance.checksums` compares and completes it with
what the publishers say; the first entries were read from a public record. For a file that is not here the user gives a
checksum, or the publisher's own list is asked."""

from __future__ import annotations

CHECKSUMS: dict[str, str] = {
    "https://dl.k8s.io/release/v1.34.4/bin/linux/amd64/kubeadm": (
        "b967f1fa0e36621c402d38bb560eb4a943954d5cf5a00e5150842f6f5da73455"
    ),
    "https://dl.k8s.io/release/v1.34.4/bin/linux/amd64/kubectl": (
        "d50c359d95e0841eaad08ddc27c7be37cba8fdccfba5c8e2ded65e121ff112db"
    ),
    "https://dl.k8s.io/release/v1.34.4/bin/linux/amd64/kubelet": (
        "03b8fea715a7ef82eeaf518dee34c72670c57cc7bc40dc1320c04fbf4f15172f"
    ),
    "https://dl.k8s.io/release/v1.34.4/bin/linux/arm64/kubeadm": (
        "d8028b7e8c8d6c9b3fc3da6bc88d4d0cfb33df1b4b026a7d6e8c35d1471c9f6e"
    ),
    "https://dl.k8s.io/release/v1.34.4/bin/linux/arm64/kubectl": (
        "5b982c0644ab1e27780246b9085a5886651b4a7ed86243acbb2bacc1bea01dda"
    ),
    "https://dl.k8s.io/release/v1.34.4/bin/linux/arm64/kubelet": (
        "c78845473c434ee85a2444eeab87f8b20f524e3ab6854a078f79468f44aad8f5"
    ),
}
