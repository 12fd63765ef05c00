# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one minor version of Kubernetes took away from the one before: `python3 -m maintenance.removals OLD NEW`.

OLD and NEW are versions whose sources are in Go's module cache (`go mod download k8s.io/kubernetes@v1.36.3`, and
k8s.io/ apiserver, component-base, kubelet, controller-manager, cloud-provider, kube-aggregator at v0.36.3), or
checkouts of kubernetes/kubernetes. Prints what the sources say, and what of it the table in removals.py lacks;
ends with 1 when it lacks something. Flags whose name is put together at run time are not seen: compare `--help` too.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".build" / "collections"))
# The collection is found by the line above.
from ansible_collections.quorum.kubeadm.plugins.module_utils import removal_table as table  # noqa: E402 - see above

MAIN = "kubernetes"
# Where each component's flags are defined: module and directory.
SHARED = (("component-base", ""),)
SERVER = (("apiserver", "pkg/server"), *SHARED)
FLAG_SOURCES = {
    "kubelet": ((MAIN, "cmd/kubelet"), (MAIN, "pkg/kubelet"), (MAIN, "pkg/credentialprovider"), *SHARED),
    "kube-apiserver": (
        (MAIN, "cmd/kube-apiserver"), (MAIN, "pkg/controlplane"), (MAIN, "pkg/kubeapiserver"), ("apiserver", ""),
        ("kube-aggregator", ""), *SHARED,
    ),
    "kube-controller-manager": (
        (MAIN, "cmd/kube-controller-manager"), ("controller-manager", ""), ("cloud-provider", ""), *SERVER,
    ),
    "kube-scheduler": ((MAIN, "cmd/kube-scheduler"), (MAIN, "pkg/scheduler"), *SERVER),
}  # fmt: skip
LITERAL = re.compile(r'\.\w*VarP?\([^"`;{}]*?,\s*"([a-z][a-z0-9-]+)"|\bregister\w*\(\w+, \w+, "([a-z][a-z0-9-]+)"')
KINDS = r"(?:Bool|String|StringSlice|StringArray|Int\d*|Uint\d*|Duration|Float\d+)"
PLAIN = re.compile(rf'\.{KINDS}P?\(\s*"([a-z][a-z0-9-]+)"')
NAMED = re.compile(r'\.\w*VarP?\([^"`;{}]*?,\s*(\w+)\s*,')
CONSTANT = re.compile(r'(\w+)\s*(?:string\s*)?=\s*"([a-z][a-z0-9-]+)"')
GATES_FILE = "test/compatibility_lifecycle/reference/{}_feature_list.yaml"
KUBEADM_GATES = "cmd/kubeadm/app/features/features.go"
TAG = re.compile(r'json:"(\w+)')
API = re.compile(r"apis__(.+)__(v\d\w*)\.json")


@dataclass(frozen=True)
class Sources:
    """One version's sources: `main` is k8s.io/kubernetes, its staging modules are inside it or beside it."""

    main: Path
    version: str

    @classmethod
    def find(cls, name: str, modules: Path) -> Sources:
        """A checkout, or a version in the module cache."""
        folder = Path(name)
        if (folder / "cmd" / "kubelet").is_dir():
            return cls(folder, "")
        version = name.removeprefix("v")
        return cls(modules / "k8s.io" / f"{MAIN}@v{version}", version)

    def module(self, name: str) -> Path:
        """The directory of a module."""
        if name == MAIN:
            return self.main
        staged = self.main / "staging" / "src" / "k8s.io" / name
        return staged if not self.version else self.main.parent / f"{name}@v0.{self.version.removeprefix('1.')}"

    def files(self, module: str, folder: str) -> Iterator[str]:
        """The texts of a directory's Go files, tests left out."""
        top = self.module(module) / folder
        if not top.is_dir():
            raise SystemExit(f"not there: {top}")
        for path in sorted(top.rglob("*.go")):
            if not path.name.endswith("_test.go"):
                yield path.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class Names:
    """What a version knows. locked: gates that cannot be set to another value than this."""

    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gates: frozenset[str] = frozenset()
    locked: Mapping[str, bool] = field(default_factory=dict)
    kubeadm_gates: frozenset[str] = frozenset()
    kubelet_fields: frozenset[str] = frozenset()
    apis: frozenset[str] = frozenset()


def flags_of(sources: Sources, component: str) -> frozenset[str]:
    """The flags that are defined where the component takes its flags from."""
    found: set[str] = set()
    named: set[str] = set()
    constants: dict[str, str] = {}
    for module, folder in FLAG_SOURCES[component]:
        for text in sources.files(module, folder):
            found |= {one or other for one, other in LITERAL.findall(text)} | set(PLAIN.findall(text))
            named |= set(NAMED.findall(text))
            constants.update(CONSTANT.findall(text))
    return frozenset(found | {constants[name] for name in named if name in constants})


def gates_of(sources: Sources, minor: int) -> tuple[frozenset[str], dict[str, bool]]:
    """All feature gates, and the value of those that are locked in this minor version."""
    rows: list[dict[str, Any]] = []
    for kind in ("versioned", "unversioned"):
        path = sources.main / GATES_FILE.format(kind)
        rows += (yaml.safe_load(path.read_text(encoding="utf-8")) or []) if path.is_file() else []
    locked = {}
    for row in rows:
        now = [spec for spec in row["versionedSpecs"] if _minor(spec["version"]) <= minor]
        if now and now[-1]["lockToDefault"]:
            locked[row["name"]] = bool(now[-1]["default"])
    return frozenset(row["name"] for row in rows), locked


def _minor(version: str) -> int:
    return int(version.split(".")[1]) if version else 0


def minor_of(sources: Sources) -> int:
    """The minor version, from the version or from the newest that a feature gate names."""
    if sources.version:
        return _minor(sources.version)
    rows = yaml.safe_load((sources.main / GATES_FILE.format("versioned")).read_text(encoding="utf-8"))
    return max(_minor(spec["version"]) for row in rows for spec in row["versionedSpecs"])


def fields_of(sources: Sources) -> frozenset[str]:
    """The fields of KubeletConfiguration itself."""
    text = (sources.module("kubelet") / "config" / "v1beta1" / "types.go").read_text(encoding="utf-8")
    body = text[text.index("type KubeletConfiguration struct") :]
    return frozenset(TAG.findall(body[: body.index("\n}")]))


def read(sources: Sources) -> Names:
    """Everything that a version knows."""
    gates, locked = gates_of(sources, minor_of(sources))
    kubeadm = (sources.main / KUBEADM_GATES).read_text(encoding="utf-8")
    apis = map(API.fullmatch, (path.name for path in (sources.main / "api" / "discovery").iterdir()))
    return Names(
        flags={component: flags_of(sources, component) for component in FLAG_SOURCES},
        gates=gates,
        locked=locked,
        kubeadm_gates=frozenset(value for name, value in re.findall(r'^\t(\w+) += "(\w+)"', kubeadm, re.M)),
        kubelet_fields=fields_of(sources),
        apis=frozenset(f"{found[1]}/{found[2]}" for found in apis if found),
    )


def compare(old: Names, new: Names) -> dict[str, dict[str, Any]]:
    """What is gone, in the shape of the table: its name, then the names in it (or, for flags, component to names)."""
    flags = {name: sorted(old.flags.get(name, frozenset()) - known) for name, known in new.flags.items()}
    locked = {name: value for name, value in new.locked.items() if name in old.gates and name not in old.locked}
    return {
        "FLAGS": {component: gone for component, gone in flags.items() if gone},
        "GATES": dict.fromkeys(sorted(old.gates - new.gates)),
        "LOCKED": dict(sorted(locked.items())),
        "KUBEADM_GATES": dict.fromkeys(sorted(old.kubeadm_gates - new.kubeadm_gates)),
        "KUBELET_FIELDS": dict.fromkeys(sorted(old.kubelet_fields - new.kubelet_fields)),
        "APIS": dict.fromkeys(sorted(old.apis - new.apis)),
    }


def lacking(gone: Mapping[str, Mapping[str, Any]], series: str) -> list[str]:
    """What the table does not have for this minor version."""
    lines = []
    for component, names in gone["FLAGS"].items():
        known = table.FLAGS.get(component, {}).get(series, ())
        lines += [f'FLAGS["{component}"]["{series}"]: {name}' for name in names if name not in known]
    for name, value in gone["LOCKED"].items():
        if table.LOCKED.get(series, {}).get(name) is not value:
            lines.append(f'LOCKED["{series}"]: {name} = {value}')
    for kind in ("GATES", "KUBEADM_GATES", "KUBELET_FIELDS", "APIS"):
        known = getattr(table, kind).get(series, ())
        lines += [f'{kind}["{series}"]: {name}' for name in gone[kind] if name not in known]
    return lines


def main(argv: list[str] | None = None) -> int:
    """Compare, print. 1 when the table lacks something."""
    parser = argparse.ArgumentParser(description="What a minor version of Kubernetes took away.")
    parser.add_argument("old", help="a version, like 1.35.4, or a checkout")
    parser.add_argument("new", help="the next one")
    cache = os.environ.get("GOMODCACHE") or Path(os.environ.get("GOPATH") or Path.home() / "go") / "pkg" / "mod"
    parser.add_argument("--modules", type=Path, default=Path(cache), help="Go's module cache")
    options = parser.parse_args(argv)
    old, new = (Sources.find(name, options.modules) for name in (options.old, options.new))
    gone = compare(read(old), read(new))
    for kind, names in gone.items():
        print(f"{kind}: {names if kind in ('FLAGS', 'LOCKED') else list(names)}")
    lines = lacking(gone, f"1.{minor_of(new)}")
    print("\n".join(["The table lacks:", *lines]) if lines else "The table has all of it.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
