"""Batch normalisation of one element, shared by both devices, and the running statistics; batchnorm.py has the rest.

    remember    for each step s whose statistics average n >= 2 elements
                updates[s]  += 1,   w = max(1 / updates[s], NEWEST)
                mean[s]     += w (batch's mean - mean[s])
                variance[s] += w (batch's variance · n / (n - 1) - variance[s])

An exponential average with momentum 1 - NEWEST = 0.9, but the first ten updates have equal weights: a step that few
batches reach does not stay near its initial values. The running variance is unbiased (Ioffe and Szegedy 2015, algorithm
2): for two utterances the biased one is half as large on average, and inference would scale differently from training.
A single element has variance 0, with which a later inference would divide by √ε; so it is left out.

mean, variance   (G, S, 2, 4H)      updates (S,)      counts (S',) int64, the n of each step, S' <= S
batch_mean, batch_variance (G, S' or more, 2, 4H)
"""

import math

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_jit, jit
from scratchser.kernels.machine.device import device_of, launch, on_cpu

NEWEST = 0.1
THREADS = 128  # of a block

# ---- maths, shared by both devices; constants have the arguments' dtype ---------------------------------------------


@jit
def scale_of(variance, epsilon):
    """1 / √(variance + ε), the factor of a deviation."""
    return type(variance)(1) / math.sqrt(variance + epsilon)


@jit
def input_gradient(d, hat, gamma, scale, mean, projected):
    """Gradient of the element that was normalised to `hat`, from d, the gradient of γ hat + β.

    mean, projected   the averages of γ d and of γ d hat over the elements that the statistics average
    """
    return scale * (gamma * d - mean - hat * projected)


@jit
def moved(old, new, updates):
    """The running average after update number `updates`."""
    return old + max(type(old)(1) / updates, type(old)(NEWEST)) * (new - old)


@jit
def unbiased(variance, n):
    """The variance of n elements, divided by n - 1 instead of n."""
    return variance * type(variance)(n) / type(variance)(n - 1)


# ---- CPU ------------------------------------------------------------------------------------------------------------


@jit
def scales_of(variance, epsilon, scale):
    """Write scale (M,) of variance (M,)."""
    for j in range(len(scale)):
        scale[j] = scale_of(variance[j], epsilon)


@jit
def remember_cpu(batch_mean, batch_variance, counts, mean, variance, updates):
    """Update mean, variance and updates in place."""
    G, _, directions, M = mean.shape
    for s in range(len(counts)):
        if counts[s] >= 2:
            updates[s] += 1
            for g in range(G):
                for d in range(directions):
                    for j in range(M):
                        mean[g, s, d, j] = moved(mean[g, s, d, j], batch_mean[g, s, d, j], updates[s])
                        new = unbiased(batch_variance[g, s, d, j], counts[s])
                        variance[g, s, d, j] = moved(variance[g, s, d, j], new, updates[s])


# ---- CUDA: a block per step -----------------------------------------------------------------------------------------


@cuda_jit
def remember_cuda(batch_mean, batch_variance, counts, mean, variance, updates):
    """As remember_cpu."""
    thread, s = cuda.threadIdx.x, cuda.blockIdx.x
    G, _, _, M = mean.shape
    n, k = counts[s], updates[s] + mean.dtype.type(1)
    cuda.syncthreads()  # all have read the number of updates
    if n >= 2:
        if thread == 0:
            updates[s] = k
        for e in range(thread, G * 2 * M, cuda.blockDim.x):
            g, d, j = e // (2 * M), e // M % 2, e % M
            mean[g, s, d, j] = moved(mean[g, s, d, j], batch_mean[g, s, d, j], k)
            new = unbiased(batch_variance[g, s, d, j], n)
            variance[g, s, d, j] = moved(variance[g, s, d, j], new, k)


# ---- entry points ---------------------------------------------------------------------------------------------------


def remember(batch_mean, batch_variance, counts, mean, variance, updates):
    """Update mean, variance and updates in place. Steps from S on have no entry and are skipped."""
    counts = counts[: len(updates)]
    if on_cpu(mean):
        remember_cpu(batch_mean, batch_variance, counts, mean, variance, updates)
    else:
        on_device = device_of(mean).resident(counts.astype(np.int32))
        launch(remember_cuda, len(counts), THREADS, batch_mean, batch_variance, on_device, mean, variance, updates)


def last_step(updates):
    """The last step that has statistics: all steps before it have some, since each batch runs through them first."""
    return max(0, int(np.count_nonzero(device_of(updates).download(updates))) - 1)
