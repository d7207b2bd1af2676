"""The pull request's text: what changed, commit by commit, the proof, what is left to a person. In Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ..fix.fixer import Left
from .story import Commit, Story

MOST_PLACES = 12  # named per commit
MOST_LEFT = 60  # listed; a page that nobody scrolls through helps nobody


def render(story: Story) -> str:
    """Return the text of the pull request."""
    parts = [
        "# Hardened for production\n",
        _summary(story),
        *_findings(story),
        *_commits(story.commits, story.reverted),
        *_proof(story),
        *_left(story),
        *_next(story),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _summary(story: Story) -> str:
    before, after = story.scores
    return (
        f"Branch `{story.branch}`, from {story.start}. Findings {story.before.total()} -> {story.after.total()}, "
        f"readiness {before} -> {after} of 100.\n"
    )


def _findings(story: Story) -> Iterator[str]:
    names = sorted(story.before | story.after, key=lambda name: (-story.before[name], name))
    if not names:
        return
    yield "## Findings\n\n| rule | before | after |\n| --- | ---: | ---: |"
    yield from (f"| {name} | {story.before[name]} | {story.after[name]} |" for name in names)
    yield ""


def _commits(commits: list[Commit], reverted: list[Commit]) -> Iterator[str]:
    yield "## Commits\n"
    for each in commits:
        yield f"- `{each.name}` {each.subject}{_places(each.places)}"
        yield from (f"  - {note}" for note in each.notes)
    yield from (f"- left out, for answers differed: {each.subject}{_places(each.places)}" for each in reverted)
    yield "\nEach stands by itself: one that you do not want can be reverted alone.\n"


def _places(places: tuple[str, ...]) -> str:
    if not places:
        return ""
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return f": {', '.join(places[:MOST_PLACES])}{more}"


def _proof(story: Story) -> Iterator[str]:
    proof = story.proof
    yield "## Proof\n"
    if proof is None:
        yield "Not verified: --no-verify was given. `scripts/harden verify` compares both versions.\n"
    elif proof.reason:
        yield f"**Not verified**: {proof.reason}\n"
    else:
        yield f"{'Same answers.' if proof.is_same else '**Answers differ.**'} {proof.summary}\n"
        yield f"```\n{proof.table.rstrip()}\n```\n"


def _left(story: Story) -> Iterator[str]:
    if not story.left:
        return
    yield f"## Left to a person ({len(story.left)})\n"
    yield from map(_one_left, story.left[:MOST_LEFT])
    if len(story.left) > MOST_LEFT:
        yield f"- and {len(story.left) - MOST_LEFT} more: `scripts/harden fix . --reasons`"
    yield ""


def _one_left(left: Left) -> str:
    place = left.finding.place
    text = f"- `{place.path}:{place.line}` {left.finding.name}: {left.reason}"
    if not left.suggestion:
        return text
    code = "\n".join(f"  {line}".rstrip() for line in left.suggestion.rstrip().splitlines())
    return f"{text}\n\n  ```python\n{code}\n  ```\n"


def _next(story: Story) -> Iterator[str]:
    yield "## Next\n"
    if story.environment:
        yield f"- Set in the service's environment: {', '.join(f'`{name}`' for name in story.environment)}."
    if story.unsafe:
        yield f"- {story.unsafe} more fixes need a decision: `scripts/harden fix . --unsafe-fixes`."
    yield "- Serve it with `gunicorn -c gunicorn.conf.py wsgi:application` in place of `python` or `flask run`."
    yield "- `scripts/harden audit .` lists what is left; with `--baseline` it keeps CI green for what is known.\n"
