"""The tests of the CUDA side once more, in Numba's simulator, which has to be switched on before Numba is imported."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_every_test_of_the_cuda_side_passes_in_numbas_simulator():
    files = sorted(str(file) for file in HERE.glob("test_*_cuda.py"))
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert "passed" in last and "skipped" not in last and "failed" not in last, done.stdout
