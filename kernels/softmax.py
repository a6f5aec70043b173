"""Softmax and its cross-entropy with soft targets and utterance weights, section 3 and section 3.3.

    forward    p[b, k] = exp(z[b, k] - m[b]) / Σ_j exp(z[b, j] - m[b]),   m[b] = max_j z[b, j]
    loss       L = 1/B Σ_b w[b] Σ_k t[b, k] (m[b] + log Σ_j exp(z[b, j] - m[b]) - z[b, k])
    backward   dz[b, k] = w[b] / B (p[b, k] Σ_j t[b, j] - t[b, k])

z, dz   (B, K)   scores and their gradient, K classes         p   (B, K)   probabilities, each row sums to 1
t       (B, K)   targets: one-hot, or a distribution over the classes from several annotators
w       (B,)     weight of an utterance: 1, or the share of the annotators' votes that fell on the K classes
L       ()       loss in nats
All arrays of one dtype, float32 or float64.

The maximum is subtracted before exp, so large scores give finite results too. L is divided by the batch size, not by
Σ w.
"""

import math

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.machine.shapes import expect

THREADS = 32  # of a block, a row each: a batch has few utterances

# ---- CPU ------------------------------------------------------------------------------------------------------------


@jit
def softmax_row(z, p):
    """Write the probabilities p of one row z. Returns log Σ_j exp(z[j] - m) and m, the maximum of z."""
    highest = z[0]
    for k in range(1, len(z)):
        highest = max(highest, z[k])
    total = z.dtype.type(0)
    for k in range(len(z)):
        p[k] = math.exp(z[k] - highest)
        total += p[k]
    for k in range(len(z)):
        p[k] /= total
    return math.log(total), highest


@jit
def forward_cpu(z, p):
    """p (B, K) is written."""
    for b in range(z.shape[0]):
        softmax_row(z[b], p[b])


@jit
def loss_cpu(z, t, w, dz):
    """Returns L, and writes dz (B, K)."""
    B, K = z.shape
    loss = z.dtype.type(0)
    for b in range(B):
        log_total, highest = softmax_row(z[b], dz[b])
        scale = w[b] / z.dtype.type(B)
        mass = z.dtype.type(0)
        entropy = z.dtype.type(0)
        for k in range(K):
            mass += t[b, k]
            entropy += t[b, k] * (log_total - (z[b, k] - highest))
        loss += scale * entropy
        for k in range(K):
            dz[b, k] = scale * (dz[b, k] * mass - t[b, k])
    return loss


# ---- CUDA: a thread per row -----------------------------------------------------------------------------------------


@cuda_device
def softmax_of(z, b, p):
    """`softmax_row` for row b of z and p."""
    K = z.shape[1]
    highest = z[b, 0]
    for k in range(1, K):
        highest = max(highest, z[b, k])
    total = z.dtype.type(0)
    for k in range(K):
        e = math.exp(z[b, k] - highest)
        p[b, k] = e
        total += e
    for k in range(K):
        p[b, k] /= total
    return math.log(total), highest


@cuda_jit
def forward_cuda(z, p):
    """As forward_cpu, a thread for each row."""
    b = cuda.grid(1)
    if b < z.shape[0]:
        softmax_of(z, b, p)


@cuda_jit
def loss_cuda(z, t, w, losses, dz):
    """As loss_cpu; losses (B,) holds each row's part of the loss."""
    b = cuda.grid(1)
    B, K = z.shape
    if b < B:
        log_total, highest = softmax_of(z, b, dz)
        scale = w[b] / z.dtype.type(B)
        mass = z.dtype.type(0)
        entropy = z.dtype.type(0)
        for k in range(K):
            mass += t[b, k]
            entropy += t[b, k] * (log_total - (z[b, k] - highest))
        losses[b] = scale * entropy
        for k in range(K):
            dz[b, k] = scale * (dz[b, k] * mass - t[b, k])


# ---- entry points ---------------------------------------------------------------------------------------------------


def forward(logits: np.ndarray) -> np.ndarray:
    """Probabilities (B, K) of logits (B, K), of their dtype."""
    p = device_of(logits).empty(logits.shape, logits.dtype)
    if on_cpu(logits):
        forward_cpu(logits, p)
    else:
        launch(forward_cuda, blocks(len(logits), THREADS), THREADS, logits, p)
    return p


def loss(logits: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Weighted cross-entropy and its gradient.

    logits (B, K) of any device; target (B, K) and weight (B,), NumPy's. Returns the loss in nats, summed in the arrays'
    precision, and its gradient with respect to the logits, (B, K) on their device. Raises ValueError for an empty batch
    and where shapes or dtypes differ.
    """
    B, K = logits.shape
    if B == 0:
        raise ValueError("the mean loss of an empty batch is undefined")
    expect("target", target, (B, K), logits.dtype)
    expect("weight", weight, (B,), logits.dtype)
    device = device_of(logits)
    dlogits = device.empty(logits.shape, logits.dtype)
    if on_cpu(logits):
        return float(loss_cpu(logits, target, weight, dlogits)), dlogits
    losses = device.empty(B, logits.dtype)
    launch(
        loss_cuda, blocks(B, THREADS), THREADS, logits, device.upload(target), device.upload(weight), losses, dlogits
    )
    return float(device.download(losses).sum()), dlogits
