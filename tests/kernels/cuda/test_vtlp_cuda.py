"""The CUDA side of the warp and of the batch against the CPU side."""

import numpy as np
import pytest
import test_vtlp
from test_vtlp import draw

from scratchser.kernels import vtlp

SMALL, LARGE = [(1, 2), (3, 3), (2, 31), (1, 131)], [(909, 513), (70_000, 257)]
THREADS = vtlp.THREADS
ALPHAS = [*test_vtlp.ALPHAS, 0.2, 1.111]  # the last two are no vocal tract's
SMALL_BLOCKS = vtlp, {"THREADS": 6}


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward_agree_with_the_cpu(device, dtype, alpha):
    for T, F in device.sizes(SMALL, LARGE):
        S, dY = draw(T, F, dtype), draw(T, F, dtype, seed=4)
        # both know a frequency near F to a few roundings of F, times the steepness of G⁻¹
        tolerance = 8 * np.finfo(dtype).eps * F / min(alpha, 10 - 9 * alpha)
        for op, x in ((vtlp.forward, S), (vtlp.backward, dY)):
            got = device.host(op(device.arrays(x), alpha))
            assert got.dtype == dtype
            np.testing.assert_allclose(got, op(x, alpha), rtol=0, atol=tolerance * abs(x).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("F", [2, 3, 257, 513])
def test_the_backward_loop_begins_neither_past_its_first_bin_nor_far_before(dtype, F):
    lower, weight = np.empty(F, np.int64), np.empty(F, dtype)
    for alpha in np.append(np.linspace(0.01, 1.111, 100), ALPHAS).astype(dtype):
        vtlp.tabulate(alpha, lower, weight)
        begin = np.array([int(vtlp.target(i, alpha, F)) for i in range(F - 1)])
        first = np.searchsorted(lower, np.arange(F - 1))
        assert (begin <= first).all() and (first <= begin + 1).all()


def draw_corpus(dtype, F=31):
    """Utterances of 5, 1, 9 and 3 frames, between frames of NaN."""
    lengths, starts = np.array([5, 1, 9, 3]), np.array([2, 8, 10, 20])
    values = np.full((24, F), np.nan, dtype)
    for start, length in zip(starts, lengths, strict=True):
        values[start : start + length] = draw(length, F, dtype, seed=start)
    return values, starts, lengths


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("F", [2, 31, 131])
def test_batch_agrees_with_the_cpu_and_is_zero_past_the_ends(device, dtype, F):
    values, starts, lengths = draw_corpus(dtype, F)
    chosen, alphas = np.array([2, 0, 2, 1, 3]), np.array([0.93, 1.0, 1.08, 1.1, 0.9])
    arguments = starts[chosen], lengths[chosen], alphas, 0.4, 2.5, 10
    X = device.host(vtlp.batch(device.arrays(values), *arguments))
    expected = vtlp.batch(values, *arguments)
    assert X.dtype == dtype and np.isfinite(expected).all()
    np.testing.assert_allclose(X, expected, rtol=0, atol=32 * np.finfo(dtype).eps * F * abs(expected).max())
    for x, length in zip(X, lengths[chosen], strict=True):
        np.testing.assert_array_equal(x[length:], 0)


def test_an_utterance_is_the_same_in_any_batch_and_with_any_block_size(device, monkeypatch):
    values, starts, lengths = draw_corpus(np.float32)
    on_device = device.arrays(values)
    together = device.host(vtlp.batch(on_device, starts, lengths, np.full(4, 0.93), 0.4, 2.5, 9))
    dS = device.host(vtlp.backward(on_device, 1.07))
    for threads in (1, 5, 32, THREADS):
        monkeypatch.setattr(vtlp, "THREADS", threads)
        alone = device.host(vtlp.batch(on_device, starts[2:3], lengths[2:3], np.array([0.93]), 0.4, 2.5, 11))
        np.testing.assert_array_equal(alone[0, :9], together[2])
        np.testing.assert_array_equal(
            device.host(vtlp.forward(on_device, 0.93))[10:19],
            device.host(vtlp.batch(on_device, starts[2:3], lengths[2:3], np.array([0.93]), 0, 1, 9))[0],
        )
        np.testing.assert_array_equal(device.host(vtlp.backward(on_device, 1.07)), dS)


BINS = "for k in range(cuda.threadIdx.x, Y.shape[1], cuda.blockDim.x):"
GIVEN = "s, alpha = values[starts[b] + t], alphas[b]"
X = "X[b, t, k] = (warped(s, k, alpha) - mean) * scale"
FAULTS = [
    ("warped", "return between(w, s[i], s[i + 1])", "return between(w, s[i + 1], s[i])", "result"),
    ("unwarped", "k = int(target(max(i - 1, 0), alpha, F))", "k = int(target(i, alpha, F))", "result"),
    ("unwarped", "while k < F and lower <= i:", "while k <= F and lower <= i:", "out of range"),
    ("unwarped", "elif lower == i:", "else:", "result"),
    ("unwarped", "total += (one - w) * dy[k]", "total = (one - w) * dy[k]", "result"),
    ("unwarped", "total += w * dy[k]", "total += w * dy[i]", "result"),
    ("forward_cuda", "Y[t, k] = warped(S[t], k, alpha)", "Y[0, k] = warped(S[t], k, alpha)", "race"),
    ("forward_cuda", BINS, "for k in range(cuda.threadIdx.x, Y.shape[1] + 1, cuda.blockDim.x):", "out of range"),
    ("backward_cuda", "dS[t, i] = unwarped(dY[t], i, alpha)", "dS[t, i] = unwarped(dY[0], i, alpha)", "result"),
    ("batch_cuda", "if t < lengths[b]:", "if t <= lengths[b]:", "result"),
    ("batch_cuda", GIVEN, "s, alpha = values[starts[b]], alphas[b]", "result"),
    ("batch_cuda", GIVEN, "s, alpha = values[starts[b] + t], alphas[0]", "result"),
    ("batch_cuda", X, "X[b, t, k] = warped(s, k, alpha) - mean", "result"),
    ("batch_cuda", "X[b, t, k] = 0", "pass", "result"),
]  # fmt: skip


def test_a_planted_fault_is_caught(check_fault):
    S, dY = draw(3, 13), draw(3, 13, seed=4)
    values, starts, lengths = draw_corpus(np.float64, F=13)

    def run(upload):
        X = vtlp.batch(upload(values), starts[:2], lengths[:2], np.array([0.92, 1.1]), 0.4, 2.5, 6)
        return [
            X,
            *(op(upload(x), alpha) for op, x in ((vtlp.forward, S), (vtlp.backward, dY)) for alpha in (0.9, 1.1)),
        ]

    check_fault(run, vtlp)
