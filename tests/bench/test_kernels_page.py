"""docs/kernels.md describes the current kernels."""

import re
import tomllib
from pathlib import Path

import pytest
from test_ptx import needs_compilers

from scratchser.bench.cuda import kernels_page, ptx

ROOT = Path(__file__).parents[2]
HEAD, COMPILED, COUNTED = re.split(r"^(?=## )", (ROOT / "docs" / "kernels.md").read_text("utf-8"), flags=re.M)
REMEDY = "python -m scratchser.bench --ptx --write docs/kernels.md"


def test_what_is_counted_is_current():
    assert HEAD.strip() == kernels_page.HEAD.strip(), REMEDY
    assert COUNTED.strip() == kernels_page.counted().strip(), REMEDY


@needs_compilers
def test_what_is_compiled_is_current_and_without_a_fault():
    """All kernels, both dtypes, all capabilities."""
    builds = ptx.build_all(kernels_page.variants)
    assert ptx.faults(builds) == []
    (compilers,) = re.findall(r"^- compilers: (.*)$", COMPILED, re.M)
    if compilers != ptx.compilers():
        pytest.skip(f"the page was written with {compilers}; here are {ptx.compilers()}, which use other registers")
    assert COMPILED.strip() == kernels_page.compiled(builds).strip(), REMEDY


def test_the_page_was_written_with_the_compilers_of_the_extra():
    """Otherwise the test above would be skipped where it matters."""
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["ptx"]
    numba, numba_cuda, nvcc = (re.search(r"==([\d.]+);", pin)[1] for pin in pins[:3])
    assert f"- compilers: numba-cuda {numba_cuda} on Numba {numba}, NVVM and ptxas {nvcc}\n" in COMPILED
