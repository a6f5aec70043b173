"""The CUDA side of the spectrogram against Fourier transforms of the tests' own, and its bits against each other."""

import numpy as np
import pytest
from test_stft import FLOOR, noise

from scratchser import reference
from scratchser.kernels import stft

THREADS = stft.THREADS
SMALL_BLOCKS = stft, {"THREADS": 6}


def forward(device, x, window, *arguments):
    return device.host(stft.forward(device.arrays(x), window, *arguments))


@pytest.mark.parametrize("N", [2, 4, 8, 16, 32, 64, 128])
def test_every_power_of_two_against_the_fourier_matrix(device, N):
    window = noise(N, seed=1) + 1  # a window without symmetry: no error hides in its own mirror
    for hop in {1, N // 2, N + 3} - {0}:
        x = noise(N + 2 * hop)  # three frames, and not a sample more
        power = np.exp(forward(device, x, window, hop, N // 2 + 1, 1e-300))
        expected = reference.stft.power(x, window, hop, N // 2 + 1)
        assert power.shape == expected.shape
        assert abs(power - expected).max() <= 1e-12 * expected.max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [257, 513])
def test_the_papers_window_against_numpy_in_float64(device, monkeypatch, dtype, bins):
    monkeypatch.setattr(stft, "THREADS", THREADS)
    for samples in device.sizes([1024 + 700], [16000 * 60]):
        x = noise(samples, dtype)
        x *= np.linspace(1e-3, 5, x.size, dtype=dtype)
        frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), 1024)[::512]
        exact = abs(np.fft.rfft(frames * stft.hann(1024, np.float64))[:, :bins]) ** 2
        Y = forward(device, x, stft.hann(1024, dtype), 512, bins, 1e-30)
        assert Y.dtype == dtype
        # a bin's error is a rounding of the frame's loudest: 2⁻²³ · 8 of its power
        limit = 1e-6 if dtype == np.float32 else 1e-14
        assert (abs(np.exp(Y.astype(np.float64)) - exact).max(axis=1) <= limit * exact.max(axis=1)).all()


@pytest.mark.parametrize("threads", [1, 5, 32, 200])
@pytest.mark.parametrize("N", [2, 64, 128])
def test_the_block_size_does_not_change_a_bit(device, monkeypatch, threads, N):
    x, window = noise(2 * N - 1, np.float32), stft.hann(N)
    usual = forward(device, x, window, N // 2, N // 2 + 1, FLOOR)
    monkeypatch.setattr(stft, "THREADS", threads)
    np.testing.assert_array_equal(forward(device, x, window, N // 2, N // 2 + 1, FLOOR), usual)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_floor_is_that_of_the_cpu(device, dtype):
    """In frames of silence, and in half of the bins of the others."""
    x = noise(500, dtype)
    x[100:300] = 0
    given = x, stft.hann(64, dtype), 32, 20, np.exp(np.median(stft.forward(x, stft.hann(64, dtype), 32, 20, 1e-9)))
    np.testing.assert_allclose(forward(device, *given), stft.forward(*given), rtol=0, atol=1e3 * np.finfo(dtype).eps)


def test_the_window_may_live_on_the_gpu(device):
    x, window = noise(200), stft.hann(64, np.float64)
    on_device = device.host(stft.forward(*device.arrays(x, window), 32, 33, FLOOR))
    np.testing.assert_array_equal(on_device, forward(device, x, window, 32, 33, FLOOR))


@pytest.mark.parametrize(("dtype", "longest"), [(np.float32, 4096), (np.float64, 2048)])
def test_a_window_that_does_not_fit_into_shared_memory_is_refused(device, dtype, longest):
    x = noise(2 * longest, dtype)
    Y = forward(device, x[:longest], stft.hann(longest, dtype), longest, 3, FLOOR)
    np.testing.assert_allclose(Y, stft.forward(x[:longest], stft.hann(longest, dtype), longest, 3, FLOOR), rtol=1e-4)
    with pytest.raises(ValueError, match=f"{2 * longest} float.* bytes of shared memory"):
        forward(device, x, stft.hann(2 * longest, dtype), longest, 3, FLOOR)


BINS = "for k in range(cuda.threadIdx.x, y.size, cuda.blockDim.x):"
FAULTS = [
    ("forward_cuda", "cuda.syncthreads()  # the samples are written", "pass", "race"),
    ("forward_cuda", "cuda.syncthreads()  # the other buffer is complete", "pass", "race"),
    ("forward_cuda", "cuda.syncthreads()  # the transform is complete", "pass", "race"),
    ("forward_cuda", "pass4(z, a, N - a, s, roots)", "pass4(z, a, a, s, roots)", "race"),
    ("forward_cuda", "write_frame(z, a, roots, floor, Y[t])", "write_frame(z, a, roots, floor, Y[0])", "race"),
    ("forward_cuda", "if s < M:", "if s < M and cuda.threadIdx.x > 0:", "divergence"),
    ("forward_cuda", "a, s = 0, 1", "a, s = N, 1", "uninitialised"),
    ("forward_cuda", "load_frame(x, w, t * hop, z)", "load_frame(x, w, t, z)", "result"),
    ("load_frame", "for n in range(cuda.threadIdx.x, w.size, cuda.blockDim.x):",
     "for n in range(cuda.threadIdx.x, w.size - 1, cuda.blockDim.x):", "uninitialised"),
    ("load_frame", "z[n % 2 * (w.size // 2) + n // 2] = x[first + n] * w[n]",
     "z[n // 2] = x[first + n] * w[n]", "race"),
    ("pass4", "before = i & -s  # i - i mod s, s being a power of two", "before = i", "result"),
    ("pass4", "j = b + 3 * before + i", "j = b + 4 * i", "race"),
    ("pass4", "z[j + 2 * s], z[j + 2 * s + M] = r2, i2", "z[j + 2 * s], z[j + 2 * s + M] = i2, r2", "result"),
    ("pass2", "z[j], z[j + half] = one + two, one - two", "z[j], z[j + half] = one - two, one + two", "result"),
    ("pass2", "for i in range(cuda.threadIdx.x, half, cuda.blockDim.x):",
     "for i in range(cuda.threadIdx.x, half + 1, cuda.blockDim.x):", "race"),
    ("write_frame", BINS, "for k in range(cuda.threadIdx.x, y.size + 1, cuda.blockDim.x):", "out of range"),
    ("write_frame", "one, two = a + (k & (M - 1)), a + ((M - k) & (M - 1))  # mod M, a power of two",
     "one, two = a + (k & (M - 1)), a + (M - k)", "result"),
]  # fmt: skip


def test_a_planted_fault_is_caught(check_fault):
    x, window = noise(64 + 2 * 24), stft.hann(64, np.float64) + 0.1
    check_fault(lambda upload: [stft.forward(upload(x), window, 24, 33, FLOOR)], stft)
