# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the table of checksums from what the publishers say, over HTTPS: `python3 -m maintenance.checksums`.

What is in the table already is compared: a publisher that now says another sum for the same file is an alarm, and
nothing is written then. Files that no release of versions.py needs any more are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".build" / "collections"))
# The collection is found by the line above.
from ansible_collections.quorum.kubeadm.plugins.module_utils import publishers  # noqa: E402 - see above
from ansible_collections.quorum.kubeadm.plugins.module_utils.checksums import CHECKSUMS  # noqa: E402 - see above
from ansible_collections.quorum.kubeadm.plugins.module_utils.downloads import Download, UnusableError  # noqa: E402 - see above
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch import published_sum  # noqa: E402 - see above
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener, Opener  # noqa: E402 - see above
from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import RELEASES  # noqa: E402 - see above

TARGET = ROOT / "plugins" / "module_utils" / "checksums.py"
ROLES = ("control_plane", "worker", "etcd")


def wanted() -> dict[str, Download]:
    """Every file that a release needs, by its publisher's URL, without a checksum."""
    found = {}
    for release in RELEASES.values():
        for arch in publishers.ARCHITECTURES:
            for row in publishers.files_of(release.newest_patch, arch, ROLES):
                found[row["urls"][0]] = Download(row["path"], tuple(row["urls"]), "", 0, tuple(row["sums_urls"]))
    return found


def ask(files: Mapping[str, Download], opener: Opener) -> tuple[dict[str, str], list[str]]:
    """URL -> what its publisher says; and the publishers that say nothing, with the reason."""
    sums, silent = {}, []
    for url, item in files.items():
        try:
            sums[url] = published_sum(opener, item)
        except UnusableError as exc:
            silent.append(f"{url}: {exc}")
    return sums, silent


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Files of which the table and the publisher say different things."""
    other = [url for url in new if old.get(url, new[url]) != new[url]]
    return [f"{url}: the table says {old[url]}, the publisher {new[url]}" for url in other]


def render(sums: Mapping[str, str], text: str) -> str:
    """The table's file with these sums."""
    head = text[: text.index("CHECKSUMS: ")]
    rows = [f'    "{url}": (\n        "{sums[url]}"\n    ),\n' for url in sorted(sums)]
    return head + "CHECKSUMS: dict[str, str] = {\n" + "".join(rows) + "}\n"


def main(opener: Opener | None = None, target: Path = TARGET) -> int:
    """Ask, compare, write. 1 when a publisher says something else than before."""
    files = wanted()
    sums, silent = ask(files, opener or HttpOpener())
    for line in silent:
        print(f"not known: {line}")
    alarms = changed(CHECKSUMS, sums)
    if alarms:
        print("\n".join(["NOTHING WAS WRITTEN. A published file never changes:", *alarms]))
        return 1
    kept = {url: sha256 for url, sha256 in CHECKSUMS.items() if url in files}
    target.write_text(render({**kept, **sums}, target.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{len({**kept, **sums})} of {len(files)} files have a checksum")
    return 0


if __name__ == "__main__":
    sys.exit(main())
