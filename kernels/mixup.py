"""Mixup of utterances and a random gain: augmentation of a padded batch (Zhang et al., "mixup", 2018).

    forward    y[b, t] = share[b] x[b, t] + (1 - share[b]) x[p, t] + gain[b]     p = partners[b]; t < lengths[b]
    backward   dx[c, t] = share[c] dy[c, t] + (1 - share[b]) dy[b, t]            partners[b] = c; t < lengths[c]

x, y, dx, dy   (B, T, F)      log spectrograms of a batch and their gradients; y and dx are 0 past an utterance's end
share          (B,)           the utterance's own share of the mixture, no unit; NumPy's
partners       (B,)   int64   the other utterance of each mixture, a permutation of 0 ... B - 1; NumPy's
gain           (B,)           added to each pixel, in the unit of x: a factor of the sound's power; NumPy's
lengths        (B,)   int64   frames of each utterance, NumPy's

x, share and gain are of one dtype, float32 or float64. A partner that ends before t counts as 0 there, and nothing
past an utterance's end is read. The paper has no such layer. Backward is the same mixture with the inverse permutation,
so both directions share one kernel:

    y[b, t] = own[b] x[b, t] + other[b] x[partners[b], t] + offset[b]
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.device import device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 64  # of a block: any number works

# ---- maths, shared by both devices ----------------------------------------------------------------------------------


@jit
def mixed(own, x, other, partner, offset):
    """One pixel of the mixture."""
    return own * x + other * partner + offset


# ---- CPU: the cores share the frames --------------------------------------------------------------------------------


@pjit
def mix_cpu(x, lengths, own, other, partners, offset, y):
    """y (B, T, F) is written, 0 past the end of an utterance."""
    B, T, F = x.shape
    zero = x.dtype.type(0)
    for row in prange(B * T):
        b, t = row // T, row % T
        p = partners[b]
        for k in range(F):
            if t < lengths[b]:
                partner = x[p, t, k] if t < lengths[p] else zero
                y[b, t, k] = mixed(own[b], x[b, t, k], other[b], partner, offset[b])
            else:
                y[b, t, k] = zero


# ---- CUDA: a block per frame, neighbouring threads for neighbouring bins --------------------------------------------


@cuda_jit
def mix_cuda(x, lengths, own, other, partners, offset, y):
    """As mix_cpu, a block for each frame."""
    t, b = cuda.blockIdx.x, cuda.blockIdx.y
    p, zero = partners[b], x.dtype.type(0)
    for k in range(cuda.threadIdx.x, x.shape[2], cuda.blockDim.x):
        if t < lengths[b]:
            partner = x[p, t, k] if t < lengths[p] else zero
            y[b, t, k] = mixed(own[b], x[b, t, k], other[b], partner, offset[b])
        else:
            y[b, t, k] = zero


# ---- entry points ---------------------------------------------------------------------------------------------------


def _mix(
    x: np.ndarray, lengths: np.ndarray, own: np.ndarray, other: np.ndarray, partners: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    y, device = device_of(x).empty(x.shape, x.dtype), device_of(x)
    if on_cpu(x):
        mix_cpu(x, lengths, own, other, partners, offset, y)
    elif y.size:
        B, T, _ = x.shape
        arrays = lengths.astype(np.int32), own, other, partners.astype(np.int32), offset
        launch(mix_cuda, (T, B), THREADS, x, *(device.resident(array) for array in arrays), y)
    return y


def _check(name: str, x: np.ndarray, lengths: np.ndarray, share: np.ndarray, partners: np.ndarray) -> None:
    if x.ndim != 3 or x.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} is {x.dtype} {x.shape}, expected float32 or float64 (B, T, F)")
    B, T, F = x.shape
    expect(name, x, (B, T, F), x.dtype)
    expect("lengths", lengths, (B,), np.dtype(np.int64))
    expect("share", share, (B,), x.dtype)
    expect("partners", partners, (B,), np.dtype(np.int64))
    if (lengths < 0).any() or (lengths > T).any() or (np.sort(partners) != np.arange(B)).any():
        raise ValueError(f"expected lengths of 0 ... {T} and a permutation as partners, got {lengths} and {partners}")


def forward(
    x: np.ndarray, lengths: np.ndarray, share: np.ndarray, partners: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """Returns y (B, T, F) on the device of x. Raises ValueError for arguments unlike those at the top."""
    _check("x", x, lengths, share, partners)
    expect("gain", gain, share.shape, x.dtype)
    return _mix(x, lengths, share, 1 - share, partners, gain)


def backward(dy: np.ndarray, lengths: np.ndarray, share: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Returns dx (B, T, F) on the device of dy, for the arguments of `forward`; errors as there."""
    _check("dy", dy, lengths, share, partners)
    back = np.argsort(partners)
    return _mix(dy, lengths, share, (1 - share)[back], back, np.zeros_like(share))
