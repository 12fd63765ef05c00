# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `python3 -m lab`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import artifacts, deps, faultcli, inventory, nodeimage, nodes, probecli, publishing, settings, status
from lab.debian import SUITES
from lab.errors import LabError
from lab.podman import containers, exec_argv
from lab.settings import Settings
from lab.shell import run, say

Command = Callable[[Settings, argparse.Namespace], int]
DEFAULT_TOPOLOGY = "lb=2,cp=3,w=2"


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="python3 -m lab", description="Kubernetes clusters on one machine.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=command)
        return sub

    add("deps", _deps, "install what this machine lacks")
    built = add("artifacts", _artifacts, "build or reuse the bundles")
    built.add_argument("--kube-version", action="append", default=[], metavar="V")
    _suite(add("image", _image, "build or reuse the node image"))
    create = add("up", _up, "start nodes and wait until they answer")
    create.add_argument("--topology", help=f"default {DEFAULT_TOPOLOGY}; also etcd=N")
    create.add_argument("--lb", type=int)
    create.add_argument("--control-planes", type=int)
    create.add_argument("--workers", type=int)
    create.add_argument("--etcd", type=int)
    create.add_argument("--node", action="append", default=[], metavar="NODE", help="one more node by name")
    _suite(create)
    _suite(_node_names(add("add", _add, "start more nodes")))
    _node_names(add("rm", _rm, "remove nodes with what they stored"))
    _suite(_node_names(add("recreate", _recreate, "replace nodes by blank ones")))
    _suite(add("reset", _reset, "replace all nodes by blank ones"))
    add("down", _down, "remove the lab")
    add("status", _status, "show the nodes")
    add("env", _env, "print the lab's settings as shell variables")
    shell = add("shell", _shell, "a shell, or a command with a terminal, in a node")
    shell.add_argument("node")
    shell.add_argument("argv", nargs=argparse.REMAINDER)
    execute = add("exec", _exec, "run a command in a node")
    execute.add_argument("node")
    execute.add_argument("argv", nargs=argparse.REMAINDER)
    hosts = add("inventory", _inventory, "print the Ansible inventory, or write it into a directory")
    hosts.add_argument("--write", type=Path, metavar="DIR")
    publish = add("publish", _publish, "start a stand-in for the publishers; prints what a mirror's user needs")
    publish.add_argument("nodes", nargs="*", metavar="NODE", help="nodes that shall know the publishers' names")
    publish.add_argument("--kube-version", required=True, metavar="V")
    publish.add_argument("--fence", action="store_true", help="cut these nodes off from everything but the lab")
    faultcli.add_parser(commands)
    probecli.add_parsers(commands)
    return top


def _suite(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
    sub.add_argument("--suite", default=SUITES[0], choices=SUITES, help="Debian of the nodes")
    return sub


def _node_names(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
    sub.add_argument("nodes", nargs="+", metavar="NODE")
    return sub


def wanted_nodes(args: argparse.Namespace) -> list[str]:
    """Return the names that `up` is asked for; with --node alone only those."""
    counts = {"lb": args.lb, "cp": args.control_planes, "w": args.workers, "etcd": args.etcd}
    asked = {role: count for role, count in counts.items() if count is not None}
    text = args.topology
    if text is None and (asked or not args.node):
        text = DEFAULT_TOPOLOGY
    if asked:
        asked = {**{part.partition("=")[0].strip(): part.partition("=")[2] for part in text.split(",")}, **asked}
        text = ",".join(f"{role}={count}" for role, count in asked.items())
    return list(dict.fromkeys([*(settings.topology(text) if text else []), *args.node]))


def _deps(_lab: Settings, _args: argparse.Namespace) -> int:
    deps.install()
    return 0


def _artifacts(lab: Settings, args: argparse.Namespace) -> int:
    for bundle in artifacts.build_all(lab, args.kube_version):
        print(bundle)
    return 0


def _image(lab: Settings, args: argparse.Namespace) -> int:
    print(nodeimage.ensure(lab, args.suite))
    return 0


def _up(lab: Settings, args: argparse.Namespace) -> int:
    nodes.up(lab, wanted_nodes(args), args.suite)
    return 0


def _add(lab: Settings, args: argparse.Namespace) -> int:
    nodes.up(lab, args.nodes, args.suite)
    return 0


def _rm(lab: Settings, args: argparse.Namespace) -> int:
    nodes.remove(lab, args.nodes)
    return 0


def _recreate(lab: Settings, args: argparse.Namespace) -> int:
    nodes.recreate(lab, args.nodes, args.suite)
    return 0


def _reset(lab: Settings, args: argparse.Namespace) -> int:
    there = list(containers(lab))
    if not there:
        raise LabError(f"The lab {lab.name!r} has no nodes.", "python3 -m lab up")
    nodes.recreate(lab, there, args.suite)
    return 0


def _down(lab: Settings, _args: argparse.Namespace) -> int:
    nodes.down(lab)
    return 0


def _status(lab: Settings, _args: argparse.Namespace) -> int:
    print(status.table(lab))
    return 0


def _env(lab: Settings, _args: argparse.Namespace) -> int:
    for name, value in status.environment(lab).items():
        print(f"{name}={shlex.quote(value)}")
    return 0


def _shell(lab: Settings, args: argparse.Namespace) -> int:
    argv = exec_argv(lab, lab.node(args.node).name, args.argv or ["bash", "-l"], interactive=True)
    os.execvp(argv[0], argv)  # noqa: S606 - the terminal goes to the program


def _exec(lab: Settings, args: argparse.Namespace) -> int:
    if not args.argv:
        raise LabError("exec needs a command.", "python3 -m lab exec cp1 hostname")
    done = run(exec_argv(lab, lab.node(args.node).name, args.argv), check=False)
    print(done.stdout, end="")
    if done.stderr:
        say(done.stderr.rstrip())
    return done.returncode


def _inventory(lab: Settings, args: argparse.Namespace) -> int:
    print(inventory.write(lab, args.write) if args.write else inventory.current(lab), end="\n" if args.write else "")
    return 0


def _publish(lab: Settings, args: argparse.Namespace) -> int:
    publisher = publishing.up(lab, args.kube_version)
    publishing.introduce(publisher, args.nodes)
    if args.fence:
        publishing.fence(lab, args.nodes)
    print(json.dumps(publisher.facts()))
    return 0


def main(argv: Sequence[str]) -> int:
    """Run one command; an error is a sentence, not a stack trace."""
    args = parser().parse_args(argv)
    # Programs, packages and files that the nodes use, whoever builds them: secrets set their own mode.
    os.umask(0o022)
    try:
        return int(args.run(settings.load(), args))
    except LabError as exc:
        say(f"error: {exc}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return 130
