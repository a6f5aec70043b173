"""The tile of the other size: a processor with AVX-512 tries the 6 rows that AVX2 gets, with the same bits."""

import os
import subprocess
import sys

import pytest
from numba.core import registry

FEATURES = registry.cpu_target.target_context.codegen().magic_tuple()[2]
HASWELL = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+f16c"
PROGRAM = """
import hashlib
import numpy as np
from scratchser.kernels import _tile, conv2d, lstm
rng = np.random.default_rng(0)
draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
lengths, x, W, b = np.array([40, 7, 1]), draw(3, 40, 33, 4), draw(5, 5, 4, 24), draw(24)
y = conv2d.forward(x, lengths, W, b, (2, 2))
dW, db = np.zeros_like(W), np.zeros_like(b)
results = [y, conv2d.backward(draw(*y.shape), x, y, lengths, W, (2, 2), dW, db), dW, db]
Wx, Wh, b = draw(37, 2, 60), draw(2, 15, 60), draw(2, 60)
y, cache = lstm.forward(draw(3, 40, 37), lengths, Wx, Wh, b)
gradients = [np.zeros_like(a) for a in (Wx, Wh, b)]
results += [y, *lstm.backward(draw(*y.shape), cache, Wx, Wh, *gradients), *gradients]
print(_tile.ROWS, hashlib.sha256(b"".join(a.tobytes() for a in results)).hexdigest())
"""


def run(*command, **changes):
    return subprocess.run(
        [sys.executable, *command], env={**os.environ, **changes}, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
@pytest.mark.skipif("+avx512f" not in FEATURES, reason="this processor has one size of tile only")
def test_both_sizes_of_the_tile_give_the_same_bits(tmp_path):
    avx2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": HASWELL, "NUMBA_CACHE_DIR": str(tmp_path)}
    (high, here), (low, there) = run("-c", PROGRAM).split(), run("-c", PROGRAM, **avx2).split()
    assert (high, low) == ("12", "6")
    assert here == there
    run("-m", "pytest", "-q", os.path.join(os.path.dirname(__file__), "test_matmul.py"), **avx2)
