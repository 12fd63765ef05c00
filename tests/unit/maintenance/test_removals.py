"""What one version's sources no longer have, and what of it the table lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from maintenance import removals as subject

OPTIONS = """package options
const modesFlag = "authorization-mode"
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.A, "kept-flag", o.A, "text with \\"quotes\\"")
	fs.Var(cliflag.NewMapStringBool(&o.Gates), "feature-gates", "")
	generic.DurationVar(
		&o.B.Duration, "split-flag", 0, "")
	fs.StringSliceVar(&o.Modes, modesFlag, nil, "")
	fs.BoolP("short-flag", "s", false, "")
	register(global, local, "global-flag")
	%s
}
"""
GATES = """- name: Kept
  versionedSpecs:
  - {default: true, lockToDefault: false, preRelease: Beta, version: "1.34"}
  - {default: true, lockToDefault: true, preRelease: GA, version: "%s"}
"""
GONE = """- name: Gone
  versionedSpecs:
  - {default: false, lockToDefault: false, preRelease: Alpha, version: "1.30"}
"""
TYPES = 'type KubeletConfiguration struct {\n\tA string `json:"kept,omitempty"`\n%s}\ntype Other struct {\n}\n'
FEATURES = 'const (\n\tKept = "Kept"\n%s)\n'


def tree(root: Path, version: str, old: bool) -> None:
    """The sources of a version as Go's module cache has them."""
    k8s = root / "k8s.io"
    main = k8s / f"kubernetes@v{version}"

    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    for component, sources in subject.FLAG_SOURCES.items():
        for module, folder in sources:
            top = main if module == "kubernetes" else k8s / f"{module}@v0.{version[2:]}"
            write(top / folder / "doc.go", "package x\n")
            write(top / folder / "options_test.go", OPTIONS % 'fs.StringVar(&x, "of-a-test", x, "")')
        write(main / "cmd" / component / "options.go", OPTIONS % "")
    write(main / "cmd" / "kubelet" / "options.go", OPTIONS % ('fs.StringVar(&o.X, "gone-flag", "", "")' if old else ""))
    gates = GATES % ("1.36" if old else "1.35") + (GONE if old else "")
    write(main / "test/compatibility_lifecycle/reference/versioned_feature_list.yaml", gates)
    write(main / "cmd/kubeadm/app/features/features.go", FEATURES % ('\tGone = "GoneGate"\n' if old else ""))
    gone = '\tB string `json:"gone"`\n' if old else ""
    write(k8s / f"kubelet@v0.{version[2:]}" / "config/v1beta1/types.go", TYPES % gone)
    for api in ("apis__apps__v1", "api__v1", *(["apis__a.k8s.io__v1alpha1"] if old else [])):
        write(main / "api" / "discovery" / f"{api}.json", "{}")


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    tree(tmp_path, "1.34.4", old=True)
    tree(tmp_path, "1.35.4", old=False)
    return tmp_path


def test_flags_in_all_the_ways_they_are_written(modules: Path) -> None:
    sources = subject.Sources.find("v1.35.4", modules)
    names = {"kept-flag", "feature-gates", "split-flag", "authorization-mode", "short-flag", "global-flag"}
    assert subject.flags_of(sources, "kube-scheduler") == names


def test_what_is_gone(modules: Path) -> None:
    old, new = (subject.read(subject.Sources.find(version, modules)) for version in ("1.34.4", "1.35.4"))
    assert subject.compare(old, new) == {
        "FLAGS": {"kubelet": ["gone-flag"]},
        "GATES": {"Gone": None},
        "LOCKED": {"Kept": True},
        "KUBEADM_GATES": {"GoneGate": None},
        "KUBELET_FIELDS": {"gone": None},
        "APIS": {"a.k8s.io/v1alpha1": None},
    }
    assert not any(subject.compare(new, new).values())


def test_what_the_table_lacks_is_printed(
    modules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["1.34.4", "1.35.4", "--modules", str(modules)]
    assert subject.main(argv) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("The table lacks:") + 1 :] == [
        'FLAGS["kubelet"]["1.35"]: gone-flag',
        'LOCKED["1.35"]: Kept = True',
        'GATES["1.35"]: Gone',
        'KUBEADM_GATES["1.35"]: GoneGate',
        'KUBELET_FIELDS["1.35"]: gone',
        'APIS["1.35"]: a.k8s.io/v1alpha1',
    ]
    full = {
        "FLAGS": {"kubelet": {"1.35": ("gone-flag",)}},
        "LOCKED": {"1.35": {"Kept": True}},
        "GATES": {"1.35": ("Gone",)},
        "KUBEADM_GATES": {"1.35": ("GoneGate",)},
        "KUBELET_FIELDS": {"1.35": ("gone",)},
        "APIS": {"1.35": ("a.k8s.io/v1alpha1",)},
    }
    for name, value in full.items():
        monkeypatch.setattr(subject.table, name, value)
    assert subject.main(argv) == 0
    assert "The table has all of it." in capsys.readouterr().out


def test_a_checkout_has_its_modules_inside(tmp_path: Path) -> None:
    (tmp_path / "cmd" / "kubelet").mkdir(parents=True)
    sources = subject.Sources.find(str(tmp_path), tmp_path)
    assert sources.module("apiserver") == tmp_path / "staging" / "src" / "k8s.io" / "apiserver"
    lists = tmp_path / "test/compatibility_lifecycle/reference"
    lists.mkdir(parents=True)
    (lists / "versioned_feature_list.yaml").write_text(GATES % "1.37")
    assert subject.minor_of(sources) == 37


def test_sources_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"kubernetes@v1\.35\.4"):
        subject.flags_of(subject.Sources.find("1.35.4", tmp_path), "kubelet")
