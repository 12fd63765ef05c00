"""One host_config call as a whole: order, check mode, refusals without a trace."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_files, host_users
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_plan import Plan, apply_plan, file_content, make_plan
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok, tree

FORWARD = "/proc/sys/net/ipv4/ip_forward"


def params(**given: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "directories": [],
        "files": [],
        "absent": [],
        "kernel_modules": [],
        "sysctls": {},
        "selinux_booleans": [],
        "swap": "keep",
        "hostname": None,
        "units": [],
        "packages": [],
    }
    return {**defaults, **given}


def file(path: str, **given: Any) -> dict[str, Any]:
    owner = {"owner": str(os.geteuid()), "group": str(os.getegid())}
    return {**owner, "path": path, "mode": None, "content": None, "content_b64": None, "secret_b64": None, **given}


def unit(name: str, **given: Any) -> dict[str, Any]:
    return {"name": name, "enabled": None, "state": None, "masked": None, "reads": [], **given}


class Systemd:
    """Plays systemctl: remembers what is enabled and active, knows a unit when its file is there."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.loaded: set[str] = set()
        host.programs["systemctl"] = self.answer
        host.write("/run/systemd/system/x", "")

    def answer(self, argv: list[str]) -> Result:
        verb, names = argv[1], [word for word in argv[2:] if not word.startswith("-")]
        if verb == "show":
            return ok("\n\n".join(self.show(name) for name in names))
        if verb == "daemon-reload":
            self.loaded = set(self.host.names("/etc/systemd/system"))
        {"enable": self.enabled, "start": self.active}.get(verb, set()).update(names)
        {"disable": self.enabled, "stop": self.active}.get(verb, set()).difference_update(names)
        return ok() if verb in ("daemon-reload", "disable", "stop") or set(names) <= self.loaded else Result(5, "", "?")

    def show(self, name: str) -> str:
        load = "loaded" if name in self.loaded else "not-found"
        enabled = "enabled" if name in self.enabled else "disabled"
        active = "active" if name in self.active else "inactive"
        return f"Id={name}\nLoadState={load}\nActiveState={active}\nUnitFileState={enabled}\nType=notify\n"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path)
    for folder in ("etc/systemd/system", "run", "proc/sys/net/ipv4"):
        (tmp_path / folder).mkdir(parents=True)
    made.write(FORWARD, "0\n")
    made.write("/proc/filesystems", "nodev\toverlay\n")
    return made


def plan_of(host: FakeHost, wanted: dict[str, Any], *, check_mode: bool = False) -> tuple[Files, Plan]:
    files = Files(host, check_mode=check_mode)
    return files, make_plan(host, files, wanted)


def converge(host: FakeHost, wanted: dict[str, Any]) -> dict[str, Any]:
    before = tree(Path(host.root))
    files, predicted = plan_of(host, wanted, check_mode=True)
    apply_plan(host, files, predicted, 5, effects=False)
    assert tree(Path(host.root)) == before, "check mode leaves no trace"
    files, plan = plan_of(host, wanted)
    files.validate(plan.files)
    apply_plan(host, files, plan, 5, effects=True)
    assert plan.result() == predicted.result(), "check == real"
    again = plan_of(host, wanted)[1].result()
    assert (again["changed"], again["steps"], again["diff"]) == (False, [], []), "second run == zero steps"
    return plan.result()


def test_files_settings_and_units_in_one_call(host: FakeHost) -> None:
    systemd = Systemd(host)
    result = converge(
        host,
        params(
            directories=[{**file("/etc/x"), "mode": "0750"}],
            files=[
                file("/etc/x/a.conf", content="a\n"),
                file("/etc/x/s", secret_b64=base64.b64encode(b"geheim").decode()),
                file("/etc/systemd/system/a.service", content="[Service]\n"),
            ],
            kernel_modules=["overlay"],
            sysctls={"net.ipv4.ip_forward": 1},
            units=[unit("a", enabled=True, state="started")],
        ),
    )
    assert result["changed_files"] == ["/etc/x", "/etc/x/a.conf", "/etc/x/s", "/etc/systemd/system/a.service"]
    assert result["changed_units"] == ["a.service"]
    assert result["steps"][-4:] == [
        "sysctl net.ipv4.ip_forward: 0 -> 1",
        "daemon-reload",
        "enable a.service",
        "start a.service",
    ]
    assert systemd.active == {"a.service"}
    assert oct((Path(host.root) / "etc/x/s").stat().st_mode & 0o777) == "0o600", "a secret's default mode"
    assert "geheim" not in str(result)


def test_a_unit_is_stopped_before_its_file_is_removed(host: FakeHost) -> None:
    systemd = Systemd(host)
    converge(
        host,
        params(
            files=[file("/etc/systemd/system/a.service", content="[Service]\n")],
            units=[unit("a", enabled=True, state="started")],
        ),
    )
    wanted = params(absent=["/etc/systemd/system/a.service"], units=[unit("a", enabled=False, state="stopped")])
    assert converge(host, wanted)["steps"] == [
        "disable a.service",
        "stop a.service",
        "remove /etc/systemd/system/a.service",
        "daemon-reload",
    ]
    assert (systemd.active, systemd.enabled) == (set(), set())


@pytest.mark.parametrize("killed_at", range(6))
def test_a_killed_run_is_finished_by_the_next(host: FakeHost, monkeypatch: pytest.MonkeyPatch, killed_at: int) -> None:
    """Killed at the n-th rename, write of a sysctl or systemctl call; the next run's plan is the remainder."""
    systemd = Systemd(host)
    wanted = params(
        files=[file("/etc/a", content="a"), file("/etc/systemd/system/a.service", content="[Service]\n")],
        sysctls={"net.ipv4.ip_forward": 1},
        units=[unit("a", enabled=True, state="started")],
    )
    counter = iter(range(100))
    rename, answer = os.rename, systemd.answer

    def dying_rename(old: str, new: str) -> None:
        if next(counter) == killed_at:
            raise KeyboardInterrupt
        rename(old, new)

    def dying_systemctl(argv: list[str]) -> Result:
        if argv[1] != "show" and next(counter) == killed_at:
            raise KeyboardInterrupt
        return answer(argv)

    host.programs["systemctl"] = dying_systemctl
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", dying_rename)
        files, plan = plan_of(host, wanted)
        steps = plan.steps()
        try:
            apply_plan(host, files, plan, 5, effects=True)
        except KeyboardInterrupt:
            assert killed_at < 5
    host.programs["systemctl"] = answer
    rest = converge(host, wanted)["steps"]
    assert len(rest) < len(steps) or killed_at == 0
    assert (host.read_text("/etc/a"), host.read_text(FORWARD)) == ("a", "1\n")
    assert (systemd.enabled, systemd.active) == ({"a.service"}, {"a.service"})
    assert [name for name in host.names("/etc") if name.startswith(".")] == []


def test_a_config_file_alone_needs_no_systemd(host: FakeHost) -> None:
    converge(host, params(files=[file("/etc/a", content="x")]))
    assert host.calls == []


def test_a_unit_file_without_a_running_systemd_needs_no_reload(host: FakeHost) -> None:
    assert converge(host, params(files=[file("/etc/systemd/system/a.service", content="x")]))["steps"] == [
        f"create /etc/systemd/system/a.service (0644 {os.geteuid()}:{os.getegid()})"
    ]


def test_a_service_user_is_made_before_what_belongs_to_it(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def sysusers(argv: list[str]) -> Result:
        made.append(argv[-1].split()[1])
        return ok()

    def known(kind: str, name: str, path: str, *, may_be_missing: bool) -> int | None:
        if name in made or name.isdigit():
            return os.geteuid() if kind == "user" else os.getegid()
        assert may_be_missing, f"{name} is asked for before it is made, for {path}"
        return None

    host.programs["systemd-sysusers"] = sysusers
    monkeypatch.setattr(host_users.missing_users, "__defaults__", (made.__contains__,))
    monkeypatch.setattr(host_files, "account_id", known)
    data = {"path": "/var-etcd", "mode": "0700", "owner": "etcd", "group": "etcd"}
    result = converge(host, params(users=["etcd"], directories=[data]))
    assert result["steps"] == ["make the system user etcd", "create directory /var-etcd (0700 etcd:etcd)"]
    assert made == ["etcd"], "made once"


def test_a_service_user_that_cannot_be_made_stops_the_call(host: FakeHost) -> None:
    host.programs["systemd-sysusers"] = Result(1, "", "no space")
    wanted = params(users=["quorum-no-such-user"], files=[file("/etc/a", content="a")])
    files, plan = plan_of(host, wanted)
    with pytest.raises(KubeadmError, match="no space"):
        apply_plan(host, files, plan, 5, effects=True)
    assert not host.exists("/etc/a")


@pytest.mark.parametrize("name", ["", "a b", 'x" 0', "Root", "-u", "a\nu root 0"])
def test_a_user_name_that_would_be_more_is_refused(host: FakeHost, name: str) -> None:
    with pytest.raises(InputError, match="no name of a system user"):
        plan_of(host, params(users=[name]))


def test_swap_and_hostname_edit_their_files(host: FakeHost) -> None:
    host.write("/etc/fstab", "/dev/sda2 none swap sw 0 0\n")
    host.write("/etc/hostname", "old\n")
    result = converge(host, params(swap="off", hostname=os.uname().nodename.lower()))
    assert result["changed_files"] == ["/etc/fstab", "/etc/hostname"]
    assert host.read_text("/etc/fstab") == "# /dev/sda2 none swap sw 0 0\n"


@pytest.mark.parametrize(
    "fault",
    [
        {"kernel_modules": ["no_such_module_here"]},
        {"sysctls": {"net.none": "1"}},
        {"hostname": "Bad Name"},
        {"units": [unit("unknown", state="started")]},
        {"files": [file("/etc/good", content="x"), file("/etc/no/parent", content="x")]},
        {"files": [file("/etc/good", content="x"), file("/etc/bad", content_b64="%%%")]},
        {"files": [file("/etc/good", content="x"), file("/etc/bad", content="x", mode="u=rw")]},
        {"files": [file("/etc/good", content="x"), file("/etc/good", content="y")]},
        {"files": [file("/etc/good", content="x")], "absent": ["/etc/good"]},
        {"absent": ["relative"]},
    ],
)
def test_a_refusal_leaves_no_trace(host: FakeHost, fault: dict[str, Any]) -> None:
    Systemd(host)
    before = tree(Path(host.root))
    good = [file("/etc/other", content="x")]
    wanted = params(**{"sysctls": {"net.ipv4.ip_forward": "1"}, **fault, "files": good + fault.get("files", [])})
    with pytest.raises(KubeadmError) as caught:
        plan_of(host, wanted)
    assert caught.value.next_step, "what to do next is always said"
    assert tree(Path(host.root)) == before


def test_base64_may_be_wrapped_and_must_be_whole() -> None:
    wrapped = base64.encodebytes(b"x" * 200).decode()
    assert file_content(file("/a", content_b64=wrapped)) == b"x" * 200
    assert file_content(file("/a", secret_b64="")) == b""
    assert file_content(file("/a", content="ü")) == "ü".encode()
    with pytest.raises(InputError, match="not base64"):
        file_content(file("/a", secret_b64="abc"))


def test_a_missing_package_is_refused_and_only_named_in_check_mode(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/var/lib/dpkg/status", "Package: kmod\nStatus: install ok installed\nVersion: 34\n")
    asked = params(packages=["kmod", "socat"])
    assert make_plan(host, Files(host, check_mode=True), asked).steps() == ["need the package socat"]
    with pytest.raises(RefusedError, match=r"missing: socat"):
        make_plan(host, Files(host), asked)
