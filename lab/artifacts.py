# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is built: one bundle per Kubernetes version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.bundle import make_bundle
from lab.releases import RELEASES, release
from lab.settings import Settings


def build_all(settings: Settings, versions: Sequence[str] = ()) -> list[Path]:
    """Build or reuse the bundles of the named versions, by default of all that the lab knows."""
    wanted = [release(version) for version in versions or RELEASES]
    return [make_bundle(settings.cache, one) for one in wanted]
