"""The README's commands and the trees of files in it and in docs/architecture.md are true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree(page: str) -> set[str]:
    """The paths in the indented list of a page."""
    (block,) = re.findall(r"^```text\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found, folders = set(), []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [line.split()[0]]
        found.add("".join(folders))
    return found


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_entry_of_the_tree_exists(page):
    assert [path for path in tree(page) if not (ROOT / path).exists()] == []


def test_the_tree_lists_every_file():
    """A folder's line stands for its __init__.py."""
    files = {file for folder in ("kernels", "scratchser", "tutorials") for file in ROOT.glob(f"{folder}/**/*.py")}
    link = ROOT / "scratchser" / "kernels"
    expected = {file for file in files if file.name != "__init__.py" and link not in file.parents}
    assert {str(file.relative_to(ROOT)) for file in expected} - tree("docs/architecture.md") == set()


@pytest.mark.parametrize(("end", "extra"), [("-m scratchser.cv", "-e ."), ("-m pytest -n auto", "-e '.[test]'")])
def test_the_two_commands_are_one_line_each(end, extra):
    (command,) = (line for line in README.splitlines() if line.startswith("python3 ") and line.endswith(end))
    assert command == f"python3 -m venv .venv && .venv/bin/pip install -q {extra} && .venv/bin/python {end}"


def test_files_and_folders_named_in_the_text_exist():
    named = re.findall(r"`((?:scratchser|kernels|docs|tests)/[\w/.-]+)`", README)
    assert "scratchser/presets.py" in named
    assert [path for path in named if path != "kernels/OP.py" and not (ROOT / path).exists()] == []
    assert (ROOT / "LICENSE").exists() and (ROOT / ".ci" / "run").exists()
