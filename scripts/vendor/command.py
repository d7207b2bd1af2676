"""`harden vendor PATH`: copies the runtime into a repository, says what was changed in it, and upgrades it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..atomic import write_bytes_atomically
from . import copy, manifest, slices, swap
from .make import make, planned
from .merge import Merged, merge
from .place import DEFAULT, Place, find, place

EXAMPLES = """\
examples:
  scripts/harden vendor ~/shop                     the whole runtime, as hardened/
  scripts/harden vendor ~/shop --into app/db       under another name
  scripts/harden vendor ~/shop --slice pool        the pool alone
  scripts/harden vendor ~/shop --status            what was changed in the copy
  scripts/harden vendor ~/shop --upgrade           this kit's version, merged with that
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden vendor [PATH] [--into DIR] [--slice NAMES] [--status | --upgrade] ..."
    parser.epilog = (
        "exit codes: 0 done, or a copy as it was delivered; 1 changed in the copy, or a conflict;\n"
        "2 wrong usage, or a place that is taken.\n\n" + EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, default=Path(), help="the repository")
    parser.add_argument("--into", metavar="DIR", help=f"the copy's folder in it (default: {DEFAULT})")
    parser.add_argument("--slice", metavar="NAMES", type=_words, action="extend", default=[],
                        help="only these parts, with what they need")  # fmt: skip
    parser.add_argument("--list-slices", action="store_true", help="the parts, and how large they are")
    parser.add_argument("--no-files", action="store_true", help="the copy alone: no wsgi.py, no requirements, ...")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of --status; default: text")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--status", action="store_true", help="what was changed since it was delivered")
    chosen.add_argument("--upgrade", action="store_true", help="bring the copy to this kit's version")
    parser.add_argument("--conflicts", metavar="DIR", type=Path, help="with --upgrade: write what conflicts there")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def run(options: argparse.Namespace) -> int:
    """Run the verb; returns the exit code."""
    if options.list_slices:
        print(_listed(), end="")
        return 0
    if options.into is not None:
        swap.recover(options.path / options.into)
    if options.status:
        return _status(_existing(options), options.format)
    if options.upgrade:
        return _upgrade(_existing(options), options)
    return vendor(options)


def _existing(options: argparse.Namespace) -> Place:
    if options.into is None:
        _recover_all(options.path)
        return find(options.path)
    found = place(options.path, options.into)
    manifest.read(found.path)
    return found


def _recover_all(root: Path) -> None:
    """Finish what a killed run has left: a copy that is moved aside would not be found."""
    for left in [path for suffix in swap.SUFFIXES for path in root.rglob(f".*{suffix}")]:
        swap.recover(left.with_name(left.name[1:].rpartition(".vendor-")[0]))


def vendor(options: argparse.Namespace) -> int:
    """Make a copy, and the files beside it that are missing."""
    parts = slices.chosen(options.slice)
    made = planned(options.path, options.into or DEFAULT, parts, has_files=not options.no_files)
    if not options.dry_run:
        make(made)
    print(made.text("would be" if options.dry_run else "is"))
    if made.files and not options.dry_run:
        print(f"next: scripts/harden fix {options.path}")
    return 0


def _listed() -> str:
    lines = []
    for name in (*slices.SLICES, slices.ALL):
        files = slices.files((name,))
        size = sum(map(len, files.values())) / 1e3
        exports = slices.SLICES[name][:-1] if name in slices.SLICES else ("everything",)
        lines.append(f"{name:<11} {len(files):>4} files {size:>5.0f} kB  {', '.join(exports)}\n")
    return "".join(lines)


def _status(target: Place, form: str) -> int:
    found = copy.state(target.path)
    if form == "json":
        told = {
            "folder": target.folder, "package": target.package, "version": found.manifest.version,
            "kit": manifest.version(), "slices": list(found.manifest.slices), "edited": list(found.edited),
            "deleted": list(found.deleted), "added": list(found.added),
        }  # fmt: skip
        print(json.dumps(told, indent=2))
        return int(not found.is_pristine)
    newer = "" if found.manifest.version == manifest.version() else f"; this kit is {manifest.version()}"
    print(f"{target.folder}: {','.join(found.manifest.slices)} of version {found.manifest.version}{newer}")
    for word in ("edited", "deleted", "added"):
        for name in getattr(found, word):
            print(f"  {word} {name}")
    print("as it was delivered" if found.is_pristine else "changed here since")
    return int(not found.is_pristine)


def _upgrade(target: Place, options: argparse.Namespace) -> int:
    told = manifest.read(target.path)
    mine = copy.contents(target.path)
    delivered = copy.delivered(told.slices, target.package)
    theirs = {name: data for name, data in delivered.items() if name not in copy.OWN}
    base = {name: data for name, data in mine.items() if manifest.digest(data) == told.files.get(name)}
    if base.keys() != told.files.keys():  # something was edited: only then the archive is needed
        base = manifest.unpacked(target.path)
    merged = merge(base, mine, theirs)
    if merged.conflicts:
        return _refused(target, merged, options.conflicts)
    if not options.dry_run:
        swap.put(target.path, copy.sealed(merged.files, theirs, told.slices))
    _told(target, told.version, merged, options.dry_run)
    return 0


def _refused(target: Place, merged: Merged, folder: Path | None) -> int:
    print(f"{target.folder} was not upgraded, and is as it was: {len(merged.conflicts)} conflict(s)")
    for name, reason in sorted(merged.conflicts.items()):
        print(f"  {name}: {reason}")
    if folder is None:
        print("--conflicts DIR writes the files with their conflicts marked; make your files such that they merge")
        return 1
    for name, data in merged.marked.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(folder / name, data)
    print(f"{len(merged.marked)} file(s) with conflicts marked in {folder}")
    return 1


def _told(target: Place, before: str, merged: Merged, is_dry: bool) -> None:
    words = "would be" if is_dry else "is"
    print(f"{target.folder} {words} version {manifest.version()}, from {before}")
    for word in ("merged", "added", "removed", "kept"):
        for name in getattr(merged, word):
            print(f"  {word} {name}")
    print(f"  {len(merged.replaced)} file(s) replaced")
