"""The tests of the CUDA side once more, in Numba's simulator, which has to be switched on before Numba is imported."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scratchser.bench.cuda import paper_step
from scratchser.kernels.machine import no_cuda
from scratchser.kernels.machine.compile import cuda

ROOT = Path(__file__).parents[2]
CHILDREN = 2  # processes that share the files


def start(files):
    """Faults are planted for the tracer, which does not need the simulator: they are left out."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-k", "not planted", *map(str, files)]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment
    )


@pytest.mark.slow  # minutes; the default suite runs the same tests under the tracer
@pytest.mark.skipif(cuda is no_cuda, reason="this Numba has no CUDA target, so no simulator")
def test_every_test_of_the_cuda_side_passes_in_numbas_simulator():
    files = sorted(ROOT.glob("tests/**/test_*_cuda.py"))
    ran = set()
    for child in [start(files[n::CHILDREN]) for n in range(CHILDREN)]:
        output, _ = child.communicate()
        assert child.returncode == 0, output
        assert re.fullmatch(r"\d+ passed(, \d+ deselected)? in .*", output.splitlines()[-1]), output
        (names,) = re.findall(r"^kernels that ran: (.*)$", output, re.MULTILINE)
        ran |= set(names.split())
    assert ran == set(paper_step.kernel_names())
