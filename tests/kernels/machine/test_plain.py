"""With NUMBA_DISABLE_JIT=1 the CPU's kernels are plain Python, for a debugger, and compute the same.

Numba reads the switch when it is imported, so all of it runs in one other process, which is this file as a script.
"""

import itertools
import os
import subprocess
import sys

import numpy as np
from numba import config

from scratchser import gradcheck, reference
from scratchser.kernels import conv2d, lstm, matmul, stft
from scratchser.kernels.machine import expm1
from scratchser.kernels.machine import plain as _plain
from scratchser.kernels.parts import tile

LENGTHS = np.array([7, 1, 4])


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def past_the_ends(x):
    """x (B, T, ...) with NaN past LENGTHS, where no kernel may look."""
    x = x.copy()
    for b, length in enumerate(LENGTHS):
        x[b, length:] = np.nan
    return x


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(initial=0))


def a_product(M, K, N, across, turned):
    """A lies along k or across, B as written or turned; C is added to."""
    A, B, C = arrays((M, K), (K, N), (M, N))
    wanted, (am, ak), (bk, bn) = C + A @ B, (1, M) if across else (K, 1), (1, K) if turned else (N, 1)
    A, B = (A.T if across else A).ravel(), (B.T if turned else B).ravel()
    matmul.add_product(matmul.Operand(A, am, ak), matmul.Operand(B, bk, bn), C.reshape(-1), M, N, K)
    close(C, wanted)


def a_copy_of_a_few():
    source, target = arrays((tile.COLS,), (tile.COLS,))
    source[3:] = np.nan
    tile.copy(tile.address(source, 0, source[0]), tile.address(target, 0, target[0]), 3, source[0])
    np.testing.assert_array_equal(target, [*source[:3], *[0] * (tile.COLS - 3)])


def a_convolution(channels, stride, relu):
    """Forward against the reference, backward against the complex step through it."""
    C, D = channels
    x, W, b = arrays((3, 7, 6, C), (3, 2, C, D), (D,))

    def wanted(x, W, b):
        return reference.conv2d.forward(x, LENGTHS, W, b, stride, relu)

    def backward(dy, x, W, b):
        dW, db = np.zeros_like(W), np.zeros_like(b)
        y = conv2d.forward(x, LENGTHS, W, b, stride, relu)
        return {"x": conv2d.backward(dy, x, y, LENGTHS, W, stride, dW, db, relu), "W": dW, "b": db}

    close(conv2d.forward(past_the_ends(x), LENGTHS, W, b, stride, relu), wanted(x, W, b))
    gradcheck.require(gradcheck.complex_step(wanted, backward, {"x": x, "W": W, "b": b}))


def an_lstm(D, H):
    names = "x", "Wx", "Wh", "b", "h0", "c0"
    shapes = (3, 7, D), (D, 2, 4 * H), (2, H, 4 * H), (2, 4 * H), (2, 3, H), (2, 3, H)
    inputs = dict(zip(names, arrays(*shapes), strict=True))

    def wanted(x, Wx, Wh, b, h0, c0):
        return reference.lstm.forward(x, LENGTHS, Wx, Wh, b, h0, c0)

    def backward(dy, x, Wx, Wh, b, h0, c0):
        _, cache = lstm.forward(x, LENGTHS, Wx, Wh, b, h0, c0)
        d = {"Wx": np.zeros_like(Wx), "Wh": np.zeros_like(Wh), "b": np.zeros_like(b)}
        dx, dh0, dc0 = lstm.backward(dy, cache, Wx, Wh, d["Wx"], d["Wh"], d["b"])
        return {"x": dx, "h0": dh0, "c0": dc0, **d}

    y, _ = lstm.forward(past_the_ends(inputs["x"]), LENGTHS, *list(inputs.values())[1:])
    close(y, wanted(**inputs))
    gradcheck.require(gradcheck.complex_step(wanted, backward, inputs))


def a_spectrogram(N):
    (x,) = arrays((3 * N,))
    window = stft.hann(N, np.float64)
    close(
        stft.forward(x, window, N // 2, N // 2 + 1, 1e-9), reference.stft.forward(x, window, N // 2, N // 2 + 1, 1e-9)
    )


def without_compilation():
    assert config.DISABLE_JIT
    plain = tile.address, tile.along, tile.across_runs, expm1.expm1
    assert [function.__module__ for function in plain] == ["scratchser.kernels.machine.plain"] * 4
    rows, columns = tile.ROWS, tile.COLS
    a_copy_of_a_few()
    for across, turned in itertools.product((False, True), repeat=2):
        for M, K, N in ((1, 1, 1), (rows + 1, 6, columns + 3), (2, columns + 1, columns), (4, 4, 8), (5, 3, 7)):
            a_product(M, K, N, across, turned)
    for channels, stride, relu in (((1, 2), (2, 3), True), ((2, columns + 1), (1, 2), False), ((3, 8), (2, 1), True)):
        a_convolution(channels, stride, relu)
    an_lstm(3, 2)
    a_spectrogram(16)
    a_spectrogram(32)
    for dtype in (np.float32, np.float64):
        x = np.array([0, -1e-6, 0.7, -3, 50, 1e4, -1e4, np.nan], dtype)
        got = [expm1.expm1(one) for one in x]
        largest = _plain.LARGEST[x.dtype]
        np.testing.assert_allclose(got, np.expm1(np.clip(x, -largest, largest)), rtol=0)
        assert all(one.dtype == dtype for one in got)
    assert expm1.expm1(0.5) == np.expm1(0.5)


def test_small_cases_of_all_that_is_made_of_intrinsics_are_right_without_compilation():
    child = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, __file__], env=child, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_with_compilation_nothing_of_it_is_used():
    compiled = tile.address, tile.along, tile.across_runs, tile.copy, tile.transpose, expm1.expm1
    assert not any(function.__module__ == "scratchser.kernels.machine.plain" for function in compiled)


if __name__ == "__main__":
    without_compilation()
