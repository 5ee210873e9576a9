# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import time
import typing as t

from . import authorities, build, certificates, diagnose, distributions, faults, lifecycle, running, settings
from .settings import LabError, say


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="lab.py", description="A real Kubernetes cluster of booted machines, in namespaces."
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, act: t.Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(act=act)
        return command

    built = add("build", "build what the cache lacks", lambda _: build.build(settings.kubernetes_version()))
    up = add("up", "start the lab", _up)
    for command in (built, up):
        command.add_argument("--kubernetes", metavar="VERSION", help=" or ".join(settings.KUBERNETES_VERSIONS))
    up.add_argument("--nodes", type=int, default=3, choices=range(1, 10), metavar="N", help="worker nodes (3)")
    up.add_argument(
        "--signing-duration", default="1h", help="--cluster-signing-duration of the controller manager (1h)"
    )
    add("down", "end the lab and remove everything of it", lambda _: lifecycle.down(settings.state_root()))
    add("status", "show what runs", lambda _: lifecycle.status())
    inventory = add("inventory", "print the Ansible inventory (or write it)", _inventory)
    inventory.add_argument("--output", type=pathlib.Path, help="write it to this file instead")
    add("kubeconfig", "print the path of the administrator's kubeconfig", _kubeconfig)
    execute = add("exec", "run a command in a machine", _exec)
    execute.add_argument("node")
    execute.add_argument("arguments", nargs=argparse.REMAINDER, metavar="command")
    run = add("run", "run a command of this machine in the lab's control network", _run)
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- command")
    age = add("age", "give a node a client certificate of any age and restart its kubelet", _age)
    age.add_argument("node")
    age.add_argument("--lifetime", default="24h", help="how long it is valid in all (24h)")
    age.add_argument("--used", type=float, default=95, metavar="PERCENT", help="how much of that is over (95)")
    age.add_argument("--expired-for", metavar="DURATION", help="it expired so long ago")
    age.add_argument("--embed", action="store_true", help="put it into kubelet.conf instead of the rotated file")
    age.add_argument("--no-restart", action="store_true", help="leave the kubelet alone")
    lay_out = add("lay-out", "make a node one of another distribution, with a client certificate of any age", _lay_out)
    lay_out.add_argument("node")
    lay_out.add_argument("distribution", help="k3s, rke2, microk8s or eks")
    lay_out.add_argument("--lifetime", default="24h", help="how long the certificate is valid in all (24h)")
    lay_out.add_argument("--used", type=float, default=10, metavar="PERCENT", help="how much of that is over (10)")
    lay_out.add_argument("--expired-for", metavar="DURATION", help="it expired so long ago")
    put_back = add("put-back", "make a node one of kubeadm again, stopped", _put_back)
    put_back.add_argument("node")
    bootstrap = add("bootstrap", "put a bootstrap kubeconfig into a machine", _bootstrap)
    bootstrap.add_argument("node")
    bootstrap.add_argument("token", nargs="?", help="another token than the lab's")
    authority = add("ca", "put another CA of the cluster's name into /etc/kubernetes/pki of cp1", _ca)
    authority.add_argument("name")
    authority.add_argument("--same-key", action="store_true", help="a certificate of the cluster's own CA key")
    authority.add_argument("--valid", default="3650d", help="how long it still is (3650d)")
    authority.add_argument("--expired-for", metavar="DURATION", help="it expired so long ago")
    sign = add("sign", "approve a node's waiting request and sign it with another CA of cp1", _sign)
    sign.add_argument("node")
    sign.add_argument("name")
    rotate = add("rotate-ca", "rotate the cluster's CA and leave one node behind, or undo that", _rotate_ca)
    rotate.add_argument("--behind", metavar="NODE", help="undo it where no node is named")
    manager = add("manager-credentials", "give the controller manager a new certificate", _manager_credentials)
    manager.add_argument("--expired-for", metavar="DURATION", help="it expired so long ago")
    serving = add("api-certificate", "give the API server a serving certificate of any age", _api_certificate)
    serving.add_argument("--lifetime", default="24h", help="how long it is valid in all (24h)")
    serving.add_argument(
        "--used", type=float, metavar="PERCENT", help="how much of that is over (put back the first one)"
    )
    add("faults", "list the faults", lambda _: print(faults.summary(faults.load_all().values())))
    inject = add("inject", "inject a fault and wait for its effect", _inject)
    inject.add_argument("fault")
    inject.add_argument("--node", help="the machine (the fault's own choice)")
    heal = add("heal", "heal a fault, or all that are injected", _heal)
    heal.add_argument("fault", nargs="?")
    record = add("record", "diagnose the lab as it is and keep the evidence as a fixture", _record)
    record.add_argument("name")
    return main


def main(arguments: t.Sequence[str]) -> int:
    """Run one command. Returns the exit status."""
    if len(arguments) == 2 and arguments[0] in ("_init", "_helper"):
        from . import helper, init

        (init if arguments[0] == "_init" else helper).main(pathlib.Path(arguments[1]))
    options = parser().parse_args(arguments)
    if getattr(options, "kubernetes", None):
        os.environ["KUBECARE_LAB_KUBERNETES"] = options.kubernetes
    try:
        build.check_host()
        return options.act(options) or 0
    except LabError as error:
        say(f"lab: {error}")
        return 2
    except KeyboardInterrupt:
        return 130


def _state() -> pathlib.Path:
    running.require_init(settings.state_root())
    return settings.state_root()


def _up(options: argparse.Namespace) -> None:
    lifecycle.up(options.nodes, options.signing_duration, settings.state_root(), settings.kubernetes_version())


def _inventory(options: argparse.Namespace) -> None:
    content = (_state() / "inventory.yml").read_text()
    if options.output:
        options.output.write_text(content)
    else:
        print(content, end="")


def _kubeconfig(_options: argparse.Namespace) -> None:
    print(_state() / "admin.conf")


def _age(options: argparse.Namespace) -> None:
    act = certificates.embed if options.embed else certificates.age
    restart = not options.no_restart
    act(_state(), options.node, options.lifetime, options.used, options.expired_for, restart)


def _lay_out(options: argparse.Namespace) -> None:
    age = (options.lifetime, options.used, options.expired_for)
    distributions.lay_out(_state(), options.node, options.distribution, *age)


def _put_back(options: argparse.Namespace) -> None:
    distributions.put_back(_state(), options.node)


def _bootstrap(options: argparse.Namespace) -> None:
    certificates.bootstrap(_state(), options.node, options.token)


def _ca(options: argparse.Namespace) -> None:
    authorities.make(_state(), options.name, options.same_key, options.valid, options.expired_for)


def _sign(options: argparse.Namespace) -> None:
    authorities.sign(_state(), options.node, options.name)


def _rotate_ca(options: argparse.Namespace) -> None:
    if options.behind:
        authorities.rotate(_state(), options.behind)
    else:
        authorities.undo_rotation(_state())


def _manager_credentials(options: argparse.Namespace) -> None:
    authorities.manager_credentials(_state(), options.expired_for)


def _api_certificate(options: argparse.Namespace) -> None:
    if options.used is None:
        authorities.restore_api_certificate(_state())
    else:
        authorities.api_certificate(_state(), options.lifetime, options.used)


def _inject(options: argparse.Namespace) -> None:
    start = time.monotonic()
    fault = faults.get(options.fault)
    faults.inject(_state(), fault, options.node)
    say(
        f"{fault.name} is injected on {options.node or fault.node}, and its effect is there ({time.monotonic() - start:.1f} s)"
    )


def _heal(options: argparse.Namespace) -> None:
    state = _state()
    names = [options.fault] if options.fault else list(faults.injected(state))
    if not names:
        say("nothing is injected")
        return
    start = time.monotonic()
    faults.heal(state, *map(faults.get, names))
    say(f"healed: {', '.join(names)} ({time.monotonic() - start:.1f} s)")


def _record(options: argparse.Namespace) -> None:
    target = diagnose.record(_state(), options.name)
    say(f"recorded {target}")


def _command(options: argparse.Namespace) -> list[str]:
    command = list(options.arguments)
    if command[:1] == ["--"]:
        del command[0]
    if not command:
        raise LabError("Which command?")
    return command


def _exec(options: argparse.Namespace) -> t.NoReturn:
    leader = running.leaders(running.require_init(_state())).get(options.node)
    if leader is None:
        raise LabError(f"The machine {options.node} is not running.")
    command = running.enter_machine(leader, _command(options))
    os.execvp(command[0], command)


def _run(options: argparse.Namespace) -> t.NoReturn:
    state = _state()
    command = running.enter_network(running.require_init(state), _command(options))
    sys.stdout.flush()
    os.execvpe(command[0], command, running.environment(state))
