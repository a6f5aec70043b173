"""The CUDA side of the convolution against the CPU side."""

import numpy as np
import pytest
from test_conv2d import Case

from scratchser.kernels import conv2d
from scratchser.kernels.parts import tile_cuda, windows_cuda

SMALL = {
    "even kernel": Case((5, 2, 1), F=7, C=2, D=2, kernel=(4, 2), stride=(2, 2), spare=2),
    "kernel below stride": Case((4, 1), F=5, C=3, D=3, kernel=(2, 1), stride=(3, 3), spare=1),
    "one bin": Case((3, 1), F=1, C=1, D=1, kernel=(3, 7), stride=(1, 2)),
    "many channels out": Case((2, 1), F=3, C=1, D=34, kernel=(1, 2), stride=(1, 2)),
    "many channels in": Case((2, 1), F=2, C=34, D=1, kernel=(1, 2), stride=(1, 1)),
    "many frames": Case((9, 1, 7), F=4, C=1, D=1, kernel=(1, 1), stride=(1, 1)),
}
LARGE = {  # the layers of the preset `best`
    "layer 1": Case((441, 17, 300), F=257, C=1, D=48, kernel=(9, 17), stride=(2, 8), spare=5),
    "layer 2": Case((221, 9, 150), F=33, C=48, D=64, kernel=(5, 5), stride=(2, 2), spare=3),
    "layer 3": Case((111, 5, 75), F=17, C=64, D=96, kernel=(5, 5), stride=(2, 2), spare=1),
    "layer 4": Case((56, 3, 38), F=9, C=96, D=96, kernel=(3, 5), stride=(1, 2), spare=2),
}
FLOAT32 = ["even kernel", *LARGE]


def draw(case, dtype=np.float64, relu=True):
    """x, W, b, y and dy, NaN past the utterances' ends. y is the CPU's: another rounding next to 0 would be another
    gradient."""
    x, W, b = (array.astype(dtype) for array in case.draw().values())
    y = case.forward(x, W, b, relu=relu)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(dtype)
    for u, length in enumerate(case.lengths):
        y[u, -(-length // case.stride[0]) :] = dy[u, -(-length // case.stride[0]) :] = np.nan
    return x, W, b, y, dy


def forward(upload, case, x, W, b, relu=True):
    return conv2d.forward(upload(x), case.frames, upload(W), upload(b), case.stride, relu=relu)


def backward(upload, case, x, W, b, y, dy, **options):
    """dx, dW and db, which begin as ones."""
    dW, db = upload(np.ones_like(W)), upload(np.ones_like(b))
    given = *map(upload, (dy, x, y)), case.frames, upload(W), case.stride, dW, db
    return [conv2d.backward(*given, **options), dW, db]


def both(upload, case, dtype=np.float64, relu=True):
    """y, dx, dW, db."""
    inputs = draw(case, dtype, relu)
    return [forward(upload, case, *inputs[:3], relu=relu), *backward(upload, case, *inputs, relu=relu)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_forward_and_backward_agree_with_the_cpu(device, dtype):
    """Up to the rounding of sums in another order: it grows with the root of their length."""
    for name, case in device.sizes(SMALL.items(), LARGE.items()):
        if dtype == np.float64 or name in FLOAT32:
            (I, J), pairs = case.kernel, list(device.pairs(both, case, dtype))
            positions = np.prod(pairs[0][0].shape[:3])
            terms = I * J * case.C, I * J * case.D, positions, positions
            for (got, expected), n in zip(pairs, terms, strict=True):
                tolerance = 8 * np.finfo(dtype).eps * np.sqrt(n) * np.abs(expected).max()
                np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance, err_msg=name)


def test_without_a_relu(device):
    for got, expected in device.pairs(both, SMALL["kernel below stride"], relu=False):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_the_weights_gradient_in_parts_and_without_dx(device, monkeypatch):
    """Parts of 16, 16 and 4 positions."""
    monkeypatch.setattr(tile_cuda, "part_size", lambda K, blocks: 16)
    case = Case((5, 1, 3), F=4, C=1, D=2, kernel=(3, 2), stride=(1, 1))
    inputs = draw(case)
    dx, *gradients = backward(device.target.upload, case, *inputs, need_dx=False)
    assert dx is None
    for got, expected in zip(device.host(*gradients), backward(np.array, case, *inputs)[1:], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_an_utterance_has_the_same_bits_alone_and_in_any_batch(device):
    """The last one lies across two tiles."""
    case = Case((5, 1, 5), F=7, C=1, D=1, kernel=(3, 3), stride=(1, 1), spare=1)
    inputs = {name: a.astype(np.float32) for name, a in case.draw().items()}
    dy = np.random.default_rng(2).standard_normal((3, 6, 7, 1)).astype(np.float32)

    def y_and_dx(x, dy, lengths):
        x, dy, W, b = device.arrays(x, dy, inputs["W"], inputs["b"])
        y = conv2d.forward(x, lengths, W, b, case.stride)
        waste = device.arrays(np.zeros_like(inputs["W"]), np.zeros_like(inputs["b"]))
        return device.host(y, conv2d.backward(dy, x, y, lengths, W, case.stride, *waste))

    together = y_and_dx(inputs["x"], dy, case.frames)
    own_x, own_dy = (np.ascontiguousarray(a[2:, :5]) for a in (inputs["x"], dy))
    for ours, of_the_batch in zip(y_and_dx(own_x, own_dy, np.array([5])), together, strict=True):
        np.testing.assert_array_equal(ours[0], of_the_batch[2, :5])


FORWARD = Case((5, 1), F=5, C=1, D=3, kernel=(3, 3), stride=(2, 2), spare=1)  # a tile of two steps
ACROSS = Case((5, 1), F=5, C=1, D=33, kernel=(2, 3), stride=(2, 2))  # two tiles of one step
BACKWARD = Case((3, 2, 1), F=5, C=1, D=2, kernel=(4, 4), stride=(2, 2), spare=1)  # dx takes one step
LONG = Case((70,), F=1, C=1, D=1, kernel=(1, 1), stride=(1, 1))  # dW takes nine
INSIDE = "if (frame >= lowest) & (left > tap) & (start >= leftmost) & (start < rightmost):"
FAULTS = [
    (FORWARD, "forward_cuda", "cuda.syncthreads()  # all windows are written", "pass", "race"),
    (FORWARD, "forward_cuda", "cuda.syncthreads()  # both chunks are complete", "pass", "race"),
    (FORWARD, "forward_cuda", "buffer = step & 1", "buffer = 0", "race"),
    (ACROSS, "forward_cuda", "m0, n0 = tile_cuda.tile_origin(cuda.blockIdx.x, D)", "m0, n0 = 0, 0", "race"),
    (FORWARD, "forward_cuda", "tap, jc = carry(0, k_a, run)", "tap, jc = 0, k_a", "result"),
    (FORWARD, "forward_cuda", "tile_cuda.store_chunk(next_a, a, buffer, row_a, k_a, True)",
     "tile_cuda.store_chunk(next_a, a, buffer, row_a, k_a, False)", "out of range"),
    (FORWARD, "forward_cuda", "tile_cuda.load_sums(bias, 0, 0, np.int32(m0 + row), M, column, D, sums)",
     "tile_cuda.clear_sums(sums)", "result"),
    (FORWARD, "write_window", "windows[at, 3] = start", "pass", "uninitialised"),
    (FORWARD, "fetch_windows", INSIDE, "if (left > tap) & (start >= leftmost) & (start < rightmost):", "out of range"),
    (FORWARD, "fetch_windows", INSIDE,
     "if (frame >= lowest) & (tap < taps) & (start >= leftmost) & (start < rightmost):", "result"),
    (FORWARD, "fetch_windows", INSIDE, "if (frame >= lowest) & (left > tap) & (start < rightmost):", "result"),
    (FORWARD, "fetch_windows", INSIDE, "if (frame >= lowest) & (left > tap) & (start >= leftmost):", "result"),
    (FORWARD, "find_window", "if row < rows:", "if row <= rows:", "out of range"),
    (FORWARD, "find_window", "targets[at] = (u * ((T + st - 1) // st) + t) * positions + p if length > 0 else -1",
     "targets[at] = (u * ((T + st - 1) // st) + t) * positions + p", "race"),
    (ACROSS, "store_rows", "if (target >= 0) & (np.int32(n + j) < N):", "if target >= 0:", "race"),
    (FORWARD, "store_rows", "y[np.uint32(target * N + n + j)] = floor if value < floor else value",
     "y[np.uint32(target * N + n + j)] = value", "result"),
    (BACKWARD, "input_gradient_cuda", "cuda.syncthreads()  # all windows are written", "pass", "race"),
    (BACKWARD, "input_gradient_cuda", "cuda.syncthreads()  # both chunks are complete", "pass", "race"),
    (BACKWARD, "input_gradient_cuda", "rt, rf = cuda.blockIdx.y // sf, cuda.blockIdx.y % sf", "rt, rf = 0, 0", "race"),
    (BACKWARD, "input_gradient_cuda", "nt, last_i, shift_t = taps(rt, (I - 1) // 2, I, st)",
     "nt, last_i, shift_t = taps(rt, I // 2, I, st)", "result"),
    (BACKWARD, "input_gradient_cuda", "windows_cuda.rectify_fetched(next_a, outputs, relu)", "pass", "result"),
    (BACKWARD, "find_input_window", "real = t * st + rt < length", "real = row < rows", "result"),
    (BACKWARD, "weight_gradient_cuda", "cuda.syncthreads()  # the first windows are written", "pass", "race"),
    (BACKWARD, "weight_gradient_cuda", "last = min(frames.shape[0] * positions, first + part)",
     "last = frames.shape[0] * positions", "result"),
    (BACKWARD, "weight_gradient_cuda", "outside = x.dtype.type(1 if m0 + row_a == I * run else 0)",
     "outside = x.dtype.type(0)", "result"),
    (BACKWARD, "weight_gradient_cuda", "windows_cuda.rectify_fetched(next_b, outputs, relu)", "pass", "result"),
    (BACKWARD, "weight_gradient_cuda", "tile_cuda.store_sums(tile, sums, cuda.blockIdx.y * M * D, row, M, column, D)",
     "tile_cuda.store_sums(tile, sums, 0, row, M, column, D)", "race"),
    (LONG, "weight_gradient_cuda", "if (step + 2) * TILE_K % THREADS == 0:", "if (step + 1) * TILE_K % THREADS == 0:",
     "uninitialised"),
    (LONG, "weight_gradient_cuda", "at = k & (POSITIONS - 1)", "at = t", "race"),
    (BACKWARD, "add_weight_gradient_cuda", "if i < size:", "if i <= size:", "out of range"),
    (BACKWARD, "add_weight_gradient_cuda", "for p in range(parts):", "for p in range(1):", "result"),
    (BACKWARD, "add_weight_gradient_cuda", "dW[i] += total", "dW[i] = total", "result"),
    (BACKWARD, "add_weight_gradient_cuda", "dbias[i - dW.size] += total", "dbias[0] += total", "race"),
]  # fmt: skip


def test_a_planted_fault_is_caught(check_fault, fault, monkeypatch):
    """In the forward pass or in the backward pass, its weight gradient in two parts."""
    case, name, *_ = fault
    monkeypatch.setattr(tile_cuda, "part_size", lambda K, blocks: 8 if case is BACKWARD else K)
    inputs = draw(case)

    def run(upload):
        if case in (FORWARD, ACROSS):
            return [forward(upload, case, *inputs[:3])]
        dx, *gradients = backward(upload, case, *inputs, need_dx="input" in name)
        return gradients if dx is None else [dx]

    check_fault(run, conv2d, windows_cuda)
