"""The README's file tree and commands are true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree() -> dict[str, str]:
    """Path -> purpose, from the indented list in the README."""
    (block,) = re.findall(r"^```text\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    found, folders = {}, []
    for line in block.splitlines():
        name, _, purpose = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [name]
        found["".join(folders)] = purpose.strip()
    return found


def test_the_tree_names_exactly_the_files_that_are_there():
    listed = ("kernels/", "scratchser/", "docs/", "tutorials/")
    files = {path for path in tree() if path.startswith(listed) and not path.endswith("/")}
    there = [*ROOT.glob("kernels/*.py"), *ROOT.glob("docs/*.md"), *ROOT.glob("scratchser/*.py")]
    there += [*ROOT.glob("scratchser/*/templates/*")]
    there += [file for file in ROOT.glob("scratchser/*/*.py") if file.parent.name != "kernels"]  # that is a link
    there += [*ROOT.glob("scratchser/*/*/*.py"), *ROOT.glob("tutorials/**/*.py"), ROOT / "tutorials" / "README.md"]
    assert files == {str(path.relative_to(ROOT)) for path in there}


def test_every_file_of_the_tree_has_a_purpose():
    folders = {path for path in tree() if path.endswith("/") and path != "scratchser/"} - {"docs/"}
    without = [path for path, purpose in tree().items() if not purpose and (path in folders or not path.endswith("/"))]
    assert without == []


@pytest.mark.parametrize(("end", "extra"), [("-m scratchser.cv", "-e ."), ("-m pytest -n auto", "-e '.[test]'")])
def test_the_two_commands_are_one_line_each(end, extra):
    (command,) = (line for line in README.splitlines() if line.startswith("python3 ") and line.endswith(end))
    assert command == f"python3 -m venv .venv && .venv/bin/pip install -q {extra} && .venv/bin/python {end}"


def test_files_and_folders_named_in_the_text_exist():
    named = re.findall(r"`((?:scratchser|kernels|docs|tests)/[\w/.-]+)`", README)
    assert "scratchser/presets.py" in named
    assert [path for path in named if path != "kernels/OP.py" and not (ROOT / path).exists()] == []
    assert (ROOT / "LICENSE").exists() and (ROOT / ".ci" / "run").exists()
