"""The command line: usage, help that fits a screen, exit codes, output that nobody reads, progress."""

from __future__ import annotations

import argparse
import importlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from scripts import cli, doctables, progress
from scripts.errors import CommandError
from scripts.progress import Progress

from .stack.running import ROOT, clean_environ

LAUNCH = [sys.executable, str(ROOT / "scripts" / "launch.py")]


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[argparse.Namespace], int]], None]:
    """Makes `harden try` run a function."""

    def set_verb(run: Callable[[argparse.Namespace], int]) -> None:
        module = ModuleType("scripts.try_command")
        module.add_arguments = lambda parser: None  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "scripts.try_command", module)
        monkeypatch.setitem(cli.VERBS, "try", ("scripts.try_command", "tries"))

    return set_verb


def _help(*arguments: str) -> str:
    done = subprocess.run(
        [*LAUNCH, *arguments, "--help"], capture_output=True, text=True, env={**clean_environ(), "COLUMNS": "80"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _parser(name: str) -> argparse.ArgumentParser:
    parser = cli.Parser(prog=name)
    importlib.import_module(cli.VERBS[name][0]).add_arguments(parser)
    if name in cli.ON_HOSTS:
        importlib.import_module("scripts.remote.options").add_arguments(parser, name)
    return parser


COMMANDS = [
    (verb, *word)
    for verb in cli.VERBS
    for word in [(), *((name,) for name in doctables.parts_of(_parser(verb)))]
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_each_verb_fits_a_screen_and_ends_with_examples(command: tuple[str, ...]) -> None:
    name = " ".join(command)
    text = _help(*command)
    lines = text.rstrip("\n").split("\n")
    assert 11 <= len(lines) <= 40
    last = text.rstrip("\n").split("\n\n")[-1].split("\n")
    assert last[0] == "examples:"
    assert len(last) >= 3
    assert all(line.removeprefix("  sudo").lstrip().startswith(f"scripts/harden {name}") for line in last[1:])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_example_parses(command: tuple[str, ...]) -> None:
    """And so names options that there are."""
    parser = _parser(command[0])
    described = doctables.parts_of(parser)[command[1]] if len(command) > 1 else parser
    examples = str(described.epilog).partition("examples:\n")[2].splitlines()
    assert examples
    for line in examples:
        example = re.split(r"\s{2,}", line.strip())[0]
        parser.parse_args(shlex.split(example.removeprefix("sudo "))[2:])


def test_help_names_every_verb_with_its_summary_and_ends_with_examples() -> None:
    text = _help()
    for name, (_, summary) in cli.VERBS.items():
        assert name in text
        assert summary in " ".join(text.split())
    assert text.rstrip("\n").split("\n\n")[-1].startswith("examples:\n  scripts/harden ")


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["--nonsense"], ["up"], ["demo", "--users", "many"]])
def test_wrong_usage_is_one_line_and_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("harden: error: ")
    assert "; see scripts/harden" in line


def test_the_version_is_that_of_setup_cfg(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert f"version = {capsys.readouterr().out.split()[1]}\n" in (ROOT / "setup.cfg").read_text()


def test_other_verbs_are_not_imported() -> None:
    """What makes the second start quick."""
    code = "import sys; from scripts import cli; cli.main(['up', '--help'])"
    check = f"import atexit, sys\natexit.register(lambda: print('demo' in str([*sys.modules])))\n{code}"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.endswith("False\n")


def test_an_error_is_one_line_with_its_log_and_code_2(
    verb: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise CommandError("several\n  lines\tof text", Path("/some/log"))

    verb(run)
    assert cli.main(["try"]) == 2
    assert capsys.readouterr().err == "harden: error: several lines of text (log: /some/log)\n"


def test_a_verbs_own_code_is_the_exit_code(verb: Callable[..., None]) -> None:
    verb(lambda _: 1)
    assert cli.main(["try"]) == 1


def test_ctrl_c_is_one_line_and_code_130(
    verb: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    verb(run)
    assert cli.main(["try"]) == 130
    assert capsys.readouterr().err == "harden: stopped\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_unwinds_every_with_block_and_a_second_one_does_not_interrupt_that(
    verb: Callable[..., None], number: signal.Signals
) -> None:
    steps = []

    def run(_: argparse.Namespace) -> int:
        try:
            os.kill(os.getpid(), number)
            raise AssertionError("unreachable")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            steps.append("cleaned up")

    verb(run)
    signal.signal(number, signal.SIG_DFL)  # whoever started the tests by nohup ignores a hangup
    with pytest.raises(SystemExit) as caught:
        cli.main(["try"])
    assert caught.value.code == 128 + number
    assert steps == ["cleaned up"]


def test_a_hangup_that_is_ignored_stays_ignored(verb: Callable[..., None]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(_: argparse.Namespace) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    verb(run)
    assert cli.main(["try"]) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"]])
def test_output_that_nobody_reads_is_no_traceback(arguments: list[str]) -> None:
    """`scripts/harden --help | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*LAUNCH, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode in (0, 141)  # some versions of argparse keep it to themselves


def test_progress_is_plain_lines_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    say = Progress()
    say.bar(0, 10, "loading")
    say.bar(1, 10, "loading")  # within ten seconds: nothing
    say.clear()
    say("done")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "harden:   0% loading\nharden: done\n"


def test_progress_on_a_terminal_is_one_line_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr(progress.sys, "stderr", stderr)
        say = Progress()
        say.bar(5, 10, "loading")
        say("done")
        shown = ""
        while not shown.endswith("done\r\n"):
            shown += os.read(controller, 4096).decode()
    os.close(controller)
    assert "] " in shown
    assert " 50% loading" in shown
    assert shown.count("\n") == 1
    assert shown.endswith("\r\x1b[Kharden: done\r\n")


def test_progress_of_nothing_is_whole() -> None:
    Progress().bar(0, 0, "nothing")
