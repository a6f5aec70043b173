"""docs/kernels.md says what the kernels are now."""

import re
import tomllib
from pathlib import Path

import pytest
from test_ptx import needs_compilers

from scratchser.bench.cuda import kernels_page, ptx

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "kernels.md").read_text("utf-8")
COMPILED, ASKED, BESIDES = (re.findall(r"^## .*$", PAGE, re.M) + [""] * 3)[:3]
AGAIN = "python -m scratchser.bench --ptx --write docs/kernels.md"


def section(heading: str) -> str:
    """From the heading, or from the page's begin, to the next one."""
    return re.split(r"^(?=## )", PAGE, flags=re.M)[["", COMPILED, ASKED, BESIDES].index(heading)].strip()


@pytest.mark.parametrize(
    ("heading", "written"),
    [("", kernels_page.head), (ASKED, kernels_page.asked), (BESIDES, kernels_page.besides)],
    ids=["head", "asked", "besides"],
)
def test_what_is_accounted_for_is_current(heading, written):
    assert section(heading) == written().strip(), AGAIN


@needs_compilers
def test_what_was_compiled_is_current_and_without_a_fault():
    """All kernels, both dtypes, all capabilities."""
    builds = ptx.build_all(kernels_page.variants)
    assert kernels_page.faults(builds) == []
    (made_by,) = re.findall(r"^- compilers: (.*)$", PAGE, re.M)
    if made_by != ptx.compilers():
        pytest.skip(f"the page was made by {made_by}; here are {ptx.compilers()}, which use other registers")
    assert section(COMPILED) == kernels_page.compiled(builds).strip(), AGAIN


def test_it_was_made_by_the_compilers_that_the_extra_pins():
    """Else the test above would be passed over where it matters."""
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["ptx"]
    numba, numba_cuda, nvcc = (re.search(r"==([\d.]+);", pin)[1] for pin in pins[:3])
    assert f"- compilers: numba-cuda {numba_cuda} on Numba {numba}, NVVM and ptxas {nvcc}\n" in PAGE


def test_it_says_first_that_nothing_was_run():
    assert PAGE.splitlines()[2].startswith("**Compiled and accounted for, not run on a GPU.**")
