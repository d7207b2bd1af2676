"""`harden adopt PATH`: audit, vendor, fix and verify in one run, on a branch of its own.

The checkout is not touched: everything happens in a work tree beside it, and what stays is a branch with one
commit per kind of fix, and the text of its pull request. If this is wrong, a branch claims what it does not hold.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from ..atomic import WriteError, write_atomically
from ..audit.finding import Finding
from ..audit.rules import RULES
from ..audit.run import audit
from ..audit.score import score
from ..errors import CommandError
from ..fix.result import Result
from ..progress import Progress
from ..vendor.place import DEFAULT
from . import steps
from .git import Repository, branch, check_identity, git, repository_of
from .page import render
from .prove import proof
from .story import Commit, Proof, Story, by_rule

BRANCH = "harden/adopt"
PAGE = "harden-adopt.md"  # in the repository's .git folder
EXAMPLES = """\
examples:
  scripts/harden adopt ~/shop                              a branch harden/adopt, verified
  scripts/harden adopt ~/shop --verify "--schema db.sql"   with what verify cannot find out
  scripts/harden adopt ~/shop --no-verify --into app/db    the branch alone, under another name
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden adopt [PATH] [--into DIR] [--branch NAME] [--verify ARGUMENTS] ..."
    parser.epilog = (
        "Your checkout is not touched: what is made is a branch, and the text of its pull request.\n"
        "exit codes: 0 a branch whose answers are the same; 1 a branch that a person must look at first:\n"
        "not verified, or answers differ; 2 no branch, with the reason.\n\n" + EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, default=Path(), help="the repository")
    parser.add_argument(
        "--into", metavar="DIR", default=DEFAULT, help=f"the runtime's folder (default: {DEFAULT})"
    )
    parser.add_argument("--branch", metavar="NAME", default=BRANCH, help=f"default: {BRANCH}")
    parser.add_argument(
        "--unsafe-fixes", action="store_true", help="also what may change answers or needs settings"
    )
    parser.add_argument("--no-verify", action="store_true", help="make the branch, and prove nothing")
    parser.add_argument("--verify", metavar="ARGUMENTS", default="", help="for `harden verify`, in one word")
    parser.add_argument("--report", metavar="FILE", type=Path, help=f"the text (default: .git/{PAGE})")


def run(options: argparse.Namespace) -> int:
    """Adopt; returns the exit code."""
    if not options.path.is_dir():
        raise CommandError(f"{options.path} is no folder; give the repository's")
    repository = repository_of(options.path)
    check_identity(repository.top)
    progress = Progress()
    story = Story(options.branch, repository.git("rev-parse", "--short", "HEAD"))
    with branch(repository, options.branch) as top:
        _adopt(story, top / repository.inside, options, progress)
    if not story.commits:
        print("nothing to adopt: no fix applies and the runtime is there already; no branch was made")
        return 0
    page = options.report or _page(repository)
    _write(page, render(story))
    print(_told(story, repository, page))
    return int(story.proof is None or not story.proof.is_same)


def _adopt(story: Story, folder: Path, options: argparse.Namespace, progress: Progress) -> None:
    progress("1 of 4: reading what is there")
    before = _findings(folder)
    progress(f"2 of 4: {len(before)} findings; the runtime goes into {options.into}/")
    made = steps.vendored(folder, options.into)
    story.commits += [made] if made else []
    progress("3 of 4: fixing, a commit for each kind")
    story.commits += steps.fixed(folder, before, options.unsafe_fixes, progress)
    if not options.no_verify and story.commits:
        progress("4 of 4: serving both versions and comparing their answers")
        _prove(story, folder, before, options, progress)
    rest = steps.left(folder, options.unsafe_fixes)
    _count(story, before, rest)


def _findings(folder: Path) -> list[Finding]:
    result = audit(folder, RULES)
    if not result.files:
        raise CommandError(f"there is no Python file in {folder.name}; give the application's folder")
    if not result.is_web:
        raise CommandError(f"nothing in {folder.name} imports flask or psycopg2; give the application's folder")
    return list(result.findings)


def _count(story: Story, before: list[Finding], rest: Result) -> None:
    after = list(rest.audit.findings)
    story.before, story.after = by_rule(before), by_rule(after)
    story.scores = score(before), score(after)
    story.left, story.unsafe = list(rest.left), len(rest.unsafe)


def _python(path: Path) -> list[str]:
    """Return the interpreter of the checkout's own environment, which a work tree does not have."""
    for name in (".venv", "venv", "env"):
        found = path.resolve() / name / "bin" / "python"
        if found.exists():
            return ["--python", str(found)]
    return []


def _prove(
    story: Story, folder: Path, before: list[Finding], options: argparse.Namespace, progress: Progress
) -> None:
    """Verify the branch; a fix that changes answers is left out, those after it are made anew, and verified."""
    arguments = [*_python(options.path), *shlex.split(options.verify)]
    story.proof = proof(folder, story.start, arguments)
    while not (story.proof.is_same or story.proof.reason):
        guilty = _guilty(story, folder, arguments, progress)
        if guilty is None or not guilty.rules:
            return
        progress(f"{guilty.subject}: changes answers; making the branch without it")
        git(folder, "reset", "--quiet", "--hard", f"{guilty.name}^")
        story.reverted.append(guilty)
        story.commits = story.commits[: story.commits.index(guilty)]
        story.commits += steps.fixed(folder, before, options.unsafe_fixes, progress, story.reverted)
        story.proof = proof(folder, story.start, arguments)


def _guilty(story: Story, folder: Path, arguments: list[str], progress: Progress) -> Commit | None:
    """Return the first commit whose answers differ from those of the start, by halving, as `git bisect`."""
    head = git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    same, differing = -1, len(story.commits) - 1
    try:
        while differing - same > 1:
            middle = (same + differing) // 2
            each = story.commits[middle]
            progress(f"answers differ: looking at {each.name}")
            git(folder, "checkout", "--quiet", "--detach", each.name)
            found: Proof = proof(folder, story.start, arguments)
            if found.reason:
                return None
            same, differing = (middle, differing) if found.is_same else (same, middle)
    finally:
        git(folder, "checkout", "--quiet", head)
    return story.commits[differing]


def _page(repository: Repository) -> Path:
    return Path(repository.git("rev-parse", "--path-format=absolute", "--git-common-dir")) / PAGE


def _write(page: Path, text: str) -> None:
    try:
        write_atomically(page, text)
    except WriteError as error:
        raise CommandError(f"{error}; the branch is there all the same") from None


def _told(story: Story, repository: Repository, page: Path) -> str:
    lines = [f"{each.name} {each.subject}" for each in story.commits]
    before, after = story.scores
    lines.append(
        f"\n{story.branch}: {len(story.commits)} commits; findings {story.before.total()} -> "
        f"{story.after.total()}, readiness {before} -> {after}; {len(story.left)} left to a person"
    )
    lines.append(_proved(story.proof))
    lines.append(f"look at it:  git -C {repository.top} log -p --stat {story.start}..{story.branch}")
    lines.append(f"the pull request's text: {page}")
    if sys.stdout.isatty() and story.proof is not None and story.proof.table:
        lines.insert(0, story.proof.table + "\n")
    return "\n".join(lines)


def _proved(found: Proof | None) -> str:
    if found is None:
        return "not verified: --no-verify was given"
    if found.reason:
        return f"not verified: {found.reason}"
    return f"{'verified' if found.is_same else 'ANSWERS DIFFER'}: {found.summary}"
