"""The tile's sums stay in registers, and both sizes of it give the same bits."""

import platform
import re
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from numba.core import registry
from process import python

from scratchser.kernels.parts import tile as _tile

FEATURES = registry.cpu_target.target_context.codegen().magic_tuple()[2]
HASWELL = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+f16c"
DIGEST = Path(__file__).parents[2] / "helpers" / "digest.py"


@pytest.mark.slow
@pytest.mark.skipif("+avx512f" not in FEATURES, reason="this processor has one size of tile only")
def test_both_sizes_of_the_tile_give_the_same_bits(tmp_path):
    avx2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": HASWELL, "NUMBA_CACHE_DIR": str(tmp_path)}
    (high, here, _), (low, by_avx2, _) = (python(DIGEST, **changes).stdout.split() for changes in ({}, avx2))
    assert (high, low) == ("12", "6")
    assert here == by_avx2
    python("-m", "pytest", "-q", Path(__file__).parents[1] / "test_matmul.py", **avx2)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads the assembly of x86")
@pytest.mark.parametrize("name", ["along", "along_pairs", "across", "across_pairs", "across_runs"])
def test_the_loop_over_k_touches_no_sum_in_memory(name):
    """A tile that spills is a tile in memory: right, and several times slower."""
    tile = getattr(_tile, name)

    @njit
    def call(A, stride, K, B, bk, C, floor):
        a, b, c = _tile.address(A, 0, floor), _tile.address(B, 0, floor), _tile.address(C, 0, floor)
        tile(_tile.ROWS, a, stride, 0, 1, K, 0, 8, 64, b, bk, 16, c, 16, c, 16, floor)

    array = np.zeros(4096, np.float32)
    call(array, 32, 4, array, 16, array, np.float32(-np.inf))
    (text,) = call.inspect_asm().values()
    loops = [loop for loop in re.split(r"^\.?LBB\w+:", text, flags=re.M) if "vfmadd" in loop]
    assert max(len(re.findall(r"vfmadd", loop)) for loop in loops) >= _tile.ROWS
    for loop in loops:
        until = loop[: loop.rindex("vfmadd")]
        store = r"vmov[au]p[sd]\s+%[yz]mm\d+, (?!%)"  # a move from register to register costs nothing
        assert not re.search(store, until[until.index("vfmadd") :]), loop
