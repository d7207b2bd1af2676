"""The lab by hand: `python -m tests.lab boot a b`. Its hosts stay until they are destroyed."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from scripts.stack.locks import locked

from . import base, folders
from .errors import LabError
from .host import Host
from .lab import Lab
from .leftovers import remove_dead

EXAMPLES = """examples:
  python -m tests.lab check                                can this machine have labs?
  python -m tests.lab boot db app                          two Debian hosts, on and up
  python -m tests.lab exec db systemctl start postgresql
  python -m tests.lab copy app ./release /opt/release
  python -m tests.lab run pg_isready -h db                 a program of this machine, on the lab's network
  python -m tests.lab cut app db; python -m tests.lab heal app db
  python -m tests.lab kill9 db; python -m tests.lab boot db
  python -m tests.lab destroy                              everything

HARDEN_LAB_SUITE=trixie boots Debian 13; HARDEN_LAB_EXTRA="rsync" adds packages. More in docs/lab.md.
"""


def main(arguments: list[str]) -> int:
    """Run a verb; returns 0, 2 for what a person must change, or the exit code of what `exec` and `run` ran."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options) or 0)
    except LabError as error:
        print(f"lab: error: {error.line()}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--lab", default="lab", metavar="NAME", help="which of several labs (default: lab)")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, doc: str, act: object, **given: str) -> None:
        each = verbs.add_parser(name, help=doc, description=doc)
        each.set_defaults(act=act)
        for argument, count in given.items():
            each.add_argument(argument, nargs=count or None, metavar=argument.upper())

    rest = argparse.REMAINDER
    verb("check", "say whether this machine can have labs", _check)
    verb("build", "build the base of all hosts now", _build)
    verb("boot", "switch hosts on, made at their first use", _boot, hosts="+")
    verb("list", "show hosts: name, power, address", _list)
    verb("exec", "run a command in a host", _exec, host="", command=rest)
    verb("run", "run a program of this machine on the lab's network", _run, command=rest)
    verb("copy", "copy a file or folder to a path of a host", _copy, host="", source="", target="")
    verb("fetch", "copy a file or folder of a host to a path here", _fetch, host="", source="", target="")
    verb("kill9", "cut the power: silence, and every process is gone; the disk stays", _kill9, hosts="+")
    verb("halt", "shut hosts down as systemd does", _halt, hosts="+")
    verb("cut", "let packets vanish: all of a host's, or those between it and another", _cut, host="", peer="?")
    verb("heal", "take a cut back", _heal, host="", peer="?")
    verb("freeze", "stop all processes of hosts", _freeze, hosts="+")
    verb("thaw", "let them go on", _thaw, hosts="+")
    verb("destroy", "remove hosts with their disks; without a name all of the lab", _destroy, hosts="*")
    verb("clean", "remove what killed labs left, and all bases when no lab is there", _clean)
    return parser


def _progress(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


def _lab(options: argparse.Namespace) -> Lab:
    return Lab(options.lab, progress=_progress)


def _hosts(options: argparse.Namespace) -> list[Host]:
    lab = _lab(options).attach()
    return [lab.host(name) for name in options.hosts]


def _pair(options: argparse.Namespace) -> tuple[Host, Host | None]:
    lab = _lab(options).attach()
    return lab.host(options.host), lab.host(options.peer) if options.peer else None


def _check(options: argparse.Namespace) -> None:
    lab = _lab(options)
    print(f"this machine can have labs, in {lab.state}")


def _build(options: argparse.Namespace) -> None:
    lab = _lab(options)
    print(base.build(lab.state, base.recipe_from(os.environ), _progress))


def _boot(options: argparse.Namespace) -> None:
    lab = _lab(options)
    with locked(lab.state / "boot.lock"):
        lab.open()
        for host in lab.boot(*options.hosts):
            print(f"{host.name} {host.address} {host.state()}")


def _list(options: argparse.Namespace) -> None:
    for host in _lab(options).attach().hosts:
        words = ["on" if host.is_on else "off", *(["cut"] if host.is_cut else [])]
        print(f"{host.name:20} {','.join(words):8} {host.address}")


def _exec(options: argparse.Namespace) -> int:
    host = _lab(options).attach().host(options.host)
    return _become(host.command(*_words(options)))


def _run(options: argparse.Namespace) -> int:
    return _become(_lab(options).attach().command(*_words(options)))


def _words(options: argparse.Namespace) -> list[str]:
    words: list[str] = options.command
    if not words:
        raise LabError("which command? say it after the name")
    return words


def _become(command: list[str]) -> int:
    os.execvp(command[0], command)


def _copy(options: argparse.Namespace) -> None:
    if not Path(options.source).exists():
        raise LabError(f"{options.source} does not exist")
    _lab(options).attach().host(options.host).copy(Path(options.source), options.target)


def _fetch(options: argparse.Namespace) -> None:
    _lab(options).attach().host(options.host).fetch(options.source, Path(options.target).absolute())


def _kill9(options: argparse.Namespace) -> None:
    for host in _hosts(options):
        host.kill9()


def _halt(options: argparse.Namespace) -> None:
    for host in _hosts(options):
        host.halt()


def _cut(options: argparse.Namespace) -> None:
    host, peer = _pair(options)
    host.cut(peer)


def _heal(options: argparse.Namespace) -> None:
    host, peer = _pair(options)
    host.heal(peer)


def _freeze(options: argparse.Namespace) -> None:
    for host in _hosts(options):
        host.freeze()


def _thaw(options: argparse.Namespace) -> None:
    for host in _hosts(options):
        host.thaw()


def _destroy(options: argparse.Namespace) -> None:
    if not options.hosts:
        _lab(options).destroy()
        return
    for host in _hosts(options):
        host.destroy()


def _caches(state: Path) -> list[Path]:
    return [folder for kind in ("base", "wheels", "packages") for folder in state.glob(f"{kind}-*")]


def _clean(options: argparse.Namespace) -> None:
    state = folders.state_folder(os.environ)
    with locked(state / "labs.lock"):
        removed = remove_dead(state, _progress)
        for folder in [] if any((state / "labs").iterdir()) else _caches(state):
            folders.remove_tree(state, folder)
            removed.append(folder.name)
    for name in removed:
        print(f"removed {name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
