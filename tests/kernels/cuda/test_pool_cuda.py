"""The CUDA side of max pooling: to the bit what the CPU side gives."""

import numpy as np
import pytest
from test_pool import Case

from scratchser.kernels import pool

SMALL = {
    "2x2": Case((5, 2, 1), F=6, C=3, window=(2, 2), spare=2),
    "odd edges": Case((7, 4, 1), F=7, C=2, window=(3, 2), spare=1),
    "windows larger than all": Case((3, 2), F=2, C=3, window=(5, 4), spare=1),
    "nothing to pool": Case((2, 1), F=2, C=1, window=(1, 1)),
    "several blocks of a frame": Case((3, 1), F=9, C=40, window=(2, 2)),
}
LARGE = {"after the first layer": Case((441, 17, 300), F=65, C=48, window=(2, 2), spare=5)}


def both(upload, case, dtype=np.float64, outputs=(None, None)):
    """y and dx: x has ties and a NaN as the first of a window and as another; past the ends x and dy are NaN."""
    x = case.draw(ties=True)["x"].astype(dtype)
    x[1, 0, 0, 0] = x[0, 1, 1, 0] = np.nan
    frames, positions = (-(-size // side) for size, side in zip(x.shape[1:3], case.window, strict=True))
    dy = np.random.default_rng(2).standard_normal((len(x), frames, positions, case.C)).astype(dtype)
    for u, length in enumerate(case.lengths):
        dy[u, -(-length // case.window[0]) :] = np.nan
    x, dy = upload(x), upload(dy)
    y = pool.forward(x, case.frames, case.window, out=outputs[0])
    return y, pool.backward(dy, x, case.frames, case.window, out=outputs[1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_forward_and_backward_give_the_bits_of_the_cpu(device, dtype):
    for name, case in device.sizes(SMALL.items(), LARGE.items()):
        if dtype == np.float64 or name in ("2x2", *LARGE):
            for got, expected in device.pairs(both, case, dtype):
                np.testing.assert_array_equal(got, expected, err_msg=name)


def test_all_of_out_is_written(device):
    case = SMALL["2x2"]
    expected = both(np.array, case)
    outputs = [device.arrays(np.full_like(array, 7)) for array in expected]
    got = both(device.target.upload, case, outputs=outputs)
    for ours, output, theirs in zip(got, outputs, expected, strict=True):
        assert ours is output
        np.testing.assert_array_equal(device.host(ours), theirs)


ODD = Case((5, 2, 1), F=7, C=2, window=(2, 3), spare=2)
SIDES = "rows, columns = min(I, lengths[b] - t * I), min(J, F - f * J)"
DX = "dx[index] = gradient if index == best else dx.dtype.type(0)"
FAULTS = [
    ("forward_cuda", "if n < positions * C:", "if n <= positions * C:", "race"),
    ("forward_cuda", "f, c = n // C, n % C", "f, c = n // C, 0", "result"),
    ("forward_cuda", SIDES, "rows, columns = min(I, T - t * I), min(J, F - f * J)", "result"),
    ("forward_cuda", "if rows > 0:", "if rows > -2:", "result"),
    ("forward_cuda", "y[(b * frames + t) * positions * C + n] = largest", "y[t * positions * C + n] = largest", "race"),
    ("backward_cuda", SIDES, "rows, columns = min(I, lengths[b] - t * I), J", "race"),
    ("backward_cuda", "for i in range(min(I, T - t * I)):", "for i in range(rows):", "result"),
    ("backward_cuda", "if rows > 0:", "if rows > -9:", "result"),
    ("backward_cuda", DX, "dx[index] = gradient", "result"),
    ("backward_cuda", "index = at + (i * F + j) * C", "index = at + (i * F + j) * C + 1", "out of range"),
    ("first_maximum", "n = at + i * pitch + j * C", "n = at + i * pitch + j", "result"),
    ("first_maximum", "if larger(value, largest):", "if value >= largest:", "result"),
    ("first_maximum", "if larger(value, largest):", "if value > largest:", "result"),
]  # fmt: skip


def test_a_planted_fault_is_caught(check_fault):
    check_fault(lambda upload: both(upload, ODD), pool)
