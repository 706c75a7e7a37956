"""What the documentation names exists, and every place that tells the version tells the same."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
import sys

import pytest

import fallline
from codebase.tree import PACKAGE, ROOT
from fallline import _core

COMMAND_BLOCK = re.compile(r"```(?:bash|sh|shell|console)\n(.*?)```", re.DOTALL)


def readme_commands():
    """Every simple command in the shell blocks of the README, as a list of words."""
    text = "\n".join(COMMAND_BLOCK.findall((ROOT / "README.md").read_text()))
    lines = text.replace("\\\n", " ").splitlines()
    commands = [part for line in lines for part in re.split(r"&&|;|\|", line.removeprefix("$ "))]
    return [words for words in (shlex.split(command, comments=True) for command in commands) if words]


def test_files_named_in_adding_exist():
    named = re.findall(r"`([\w.\-]+(?:/[\w.\-]+)+/?)`", (ROOT / "docs/adding.md").read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_links_between_documents_exist():
    broken = [
        (page.name, target)
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_readme_installs_and_tests():
    commands = readme_commands()
    assert ["pytest"] in commands
    assert any(words[:2] == ["pip", "install"] for words in commands)
    assert ["fallline", "train"] in commands


def test_extras_in_the_readme_exist():
    extras = set(importlib.metadata.metadata("fallline").get_all("Provides-Extra"))
    named = re.findall(r"(?:\.|fallline)\[([\w,]+)\]", (ROOT / "README.md").read_text())
    assert {extra for group in named for extra in group.split(",")} <= extras


def test_extras_that_code_asks_for_exist():
    """What an error names can be installed."""
    calls = re.findall(
        r'require\(\s*"[\w.]+", "(\w+)"', "".join(p.read_text() for p in PACKAGE.rglob("*.py"))
    )
    declared = re.findall(r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert "tensorboard" in calls
    assert set(calls) <= set(declared)


def test_the_guide_to_training_runs(tmp_path, monkeypatch):
    """Its Python blocks, one after the other, as one script."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/training.md").read_text(), re.DOTALL)
    assert len(blocks) > 3
    exec(compile("\n".join(blocks), "docs/training.md", "exec"), {"__name__": "guide"})


@pytest.mark.parametrize(
    "words", [words for words in readme_commands() if words[0] == "fallline"], ids=" ".join
)
def test_fallline_command_in_the_readme_exists(words):
    subcommand = [word for word in words[1:2] if not word.startswith("-")]
    done = subprocess.run(
        [sys.executable, "-m", "fallline", *subcommand, "--help"], capture_output=True, text=True, check=True
    )
    options = {word.split("=")[0] for word in words if word.startswith("--")}
    assert options <= set(re.findall(r"--[\w-]+", done.stdout))


def test_one_version():
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE).group(1)
    told = {declared, fallline.__version__, _core.__version__, importlib.metadata.version("fallline")}
    assert told == {declared}
