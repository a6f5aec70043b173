"""Where Numba has no CUDA target, as later releases will not: everything imports, and the tracer runs the kernels."""

from pathlib import Path

import pytest
from process import python

from scratchser.kernels.machine import no_cuda

ROOT = Path(__file__).parents[3]


def without_target(program, code=0):
    """A process where `import numba.cuda` fails."""
    text = f"import sys; sys.modules['numba.cuda'] = None\n{program}"
    return python("-c", text, code=code, cwd=ROOT, NUMBA_ENABLE_CUDASIM="0")


def test_the_tracer_runs_the_kernels_all_the_same():
    files = [f"tests/kernels/cuda/test_{op}_cuda.py" for op in ("linear", "norms")]  # device functions, barriers
    done = without_target(f"import pytest; sys.exit(pytest.main(['-q', *{files}]))")
    assert " passed" in done.stdout


def test_a_learners_kernel_is_judged_all_the_same():
    program = "from pathlib import Path; from scratchser.check.judge.judge import judge; verdict = judge(Path({!r}))"
    without_target(program.format("tests/check/solutions/cuda_block_sum.py") + "; sys.exit(not verdict.passed)")


# As numba-cuda 0.30.3 beside Numba 0.68.1
BROKEN = """
class Broken:
    def find_spec(self, name, path, target=None):
        if name == "numba.cuda":
            raise AttributeError("module 'numba.cuda.types' has no attribute 'NPDatetime'")
del sys.modules["numba.cuda"]
sys.meta_path.insert(0, Broken())
"""


@pytest.mark.parametrize("broken", ["", BROKEN])
def test_the_main_job_starts_and_reports_that_there_is_no_gpu(broken):
    main = "from scratchser.cv import __main__ as cv; sys.exit(cv.main(['--device', 'cuda']))"
    done = without_target(broken + main, code=2)
    assert "is not available" in done.stderr and "Traceback" not in done.stderr


def test_a_launch_says_what_is_missing():
    @no_cuda.jit
    def kernel(x):
        x[0] = 1

    with pytest.raises(RuntimeError, match=r"kernel cannot be launched without numba-cuda"):
        kernel[1, 32]
