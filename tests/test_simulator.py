"""The tests of the CUDA side once more, in Numba's simulator, which has to be switched on before Numba is imported."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scratchser import costs
from scratchser.kernels import _no_cuda
from scratchser.kernels._launch import cuda

HERE = Path(__file__).parent


@pytest.mark.skipif(cuda is _no_cuda, reason="this Numba has no CUDA target, so no simulator")
def test_every_test_of_the_cuda_side_passes_in_numbas_simulator():
    files = sorted(str(file) for file in HERE.glob("test_*_cuda.py"))
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"\d+ passed in .*", done.stdout.splitlines()[-1]), done.stdout
    (ran,) = re.findall(r"^kernels that ran: (.*)$", done.stdout, re.MULTILINE)
    assert set(ran.split()) == {costs.name_of(kernel) for kernel in costs.kernels()}
