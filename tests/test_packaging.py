"""What is installed is the package scratchser with the kernels inside, and nothing named `kernels` beside it."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KERNELS = {f"scratchser/{file.relative_to(ROOT)}" for file in ROOT.glob("kernels/**/*.py")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""


def test_every_package_is_listed():
    files = {str(file.relative_to(ROOT)) for file in (ROOT / "scratchser").rglob("*.py") if "kernels" not in file.parts}
    packages = {file.rpartition("/")[0].replace("/", ".") for file in files | KERNELS}
    assert packages == set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_checkout_shows_the_kernels_within_the_package():
    link = ROOT / "scratchser" / "kernels"
    assert link.is_symlink() and os.readlink(link) == os.path.join("..", "kernels")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the tree as a clone would have it."""
    copy = tmp_path_factory.mktemp("tree") / "scratchser"
    patterns = shutil.ignore_patterns(".git", ".venv*", "__pycache__", "*.egg-info", "build", "dist", ".*_cache")

    def ignored(folder: str, names: list[str]) -> set[str]:
        return patterns(folder, names) | ({"runs"} if Path(folder) == ROOT else set())

    return Path(shutil.copytree(ROOT, copy, symlinks=True, ignore=ignored))


def run(python: Path, *arguments: str, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "!!" not in done.stderr, done.stderr  # setuptools' frame around what it will refuse one day
    return done.stdout


@pytest.fixture(scope="module")
def builder(tmp_path_factory) -> Path:
    """The Python of a new virtual environment."""
    folder = tmp_path_factory.mktemp("builder")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "-q", *PROJECT["build-system"]["requires"])
    return python


def build(builder: Path, kind: str, tree: Path, into: Path) -> Path:
    """The wheel or the source archive of a tree."""
    into.mkdir()
    return into / run(builder, "-c", BUILD, f"build_{kind}", str(into), cwd=tree).splitlines()[-1]


@pytest.mark.slow
def test_wheel_and_source_archive_hold_the_kernels_once(tree, builder, tmp_path):
    archive = build(builder, "sdist", tree, tmp_path / "sdist")
    with tarfile.open(archive) as tar:
        names = [member.name.partition("/")[2] for member in tar.getmembers() if not member.isdir()]
    kernels = [name for name in names if name.startswith(("kernels", "scratchser/kernels"))]
    assert sorted(kernels) == sorted(name.removeprefix("scratchser/") for name in KERNELS)  # and not the link
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    tests = {str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("*.py")}
    assert tests == {str(file.relative_to(unpacked)) for file in (unpacked / "tests").rglob("*.py")}

    contents = []
    for place, source in enumerate((tree, unpacked)):
        with zipfile.ZipFile(build(builder, "wheel", source, tmp_path / f"wheel{place}")) as wheel:
            contents.append({name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name})
            assert len(wheel.namelist()) == len(set(wheel.namelist()))
    assert contents[0] == contents[1]
    assert {name for name in contents[0] if "kernels" in name.split("/")} == KERNELS
    assert {name.partition("/")[0] for name in contents[0]} == {"scratchser"}
    templates = {str(file.relative_to(ROOT)) for file in ROOT.glob("scratchser/*/templates/*")}
    assert templates and {name for name in contents[0] if "/templates/" in name} == templates
    for name in KERNELS:
        assert contents[0][name] == (ROOT / name.removeprefix("scratchser/")).read_bytes()
