"""Convolution and pooling. Products with zeros outside an utterance or a frame are not needed: kernels skip them."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Cost, Issued, Needed, costs_of
from scratchser.bench.cuda.costs.matmul import shared_by, tile_steps
from scratchser.kernels import conv2d, pool
from scratchser.kernels.machine.device import blocks
from scratchser.kernels.parts import tile_cuda as tile
from scratchser.kernels.parts.windows_cuda import OWN, WINDOW


def overlap(first: np.ndarray, count: int, end: np.ndarray | int) -> np.ndarray:
    """How many of first, first + 1 ... first + count - 1 lie in 0 ... end - 1."""
    return np.maximum(0, np.minimum(first + count, end) - np.maximum(first, 0))


class Sizes:
    """Counts of one launch, of real frames only."""

    def __init__(self, frames, F, C, I, J, D, st, sf) -> None:
        _, frame, length = frames.astype(np.int64).T
        taps_t = overlap(frame * st - (I - 1) // 2, I, length).sum()
        taps_f = overlap(np.arange(blocks(F, sf)) * sf - (J - 1) // 2, J, F).sum()
        self.windows = int(taps_t * taps_f * C)  # elements of x in all windows, each as often as it is in one
        self.input = int(length[frame == 0].sum()) * F * C
        self.positions = len(frames) * blocks(F, sf)  # of the output
        self.results = self.positions * D
        self.operations = 2 * self.windows * D  # a multiplication and an addition for each element and weight


def around_the_loop(tiles: int) -> tuple[int, int]:
    """Reads and writes of shared memory of blocks that store their windows first and read their places at the end."""
    return tiles * tile.THREADS * (OWN[0] * WINDOW + tile.EACH_M), tiles * tile.THREADS * (WINDOW + 1)


def add(*counts: tuple[int, int]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*counts, strict=True)))


@costs_of(conv2d.forward_cuda)
def forward(frames, W, bias, F, C, I, J, D, st, sf) -> Cost:
    s = Sizes(frames, F, C, I, J, D, st, sf)
    M, K = s.positions, I * J * C
    down, across = blocks(M, tile.TILE_M), blocks(D, tile.TILE_N)
    shared = add(around_the_loop(down * across), shared_by(down * across * blocks(K, tile.TILE_K)))
    elements = s.input + W.size + bias.size + s.results
    needed = Needed(elements * W.itemsize + frames.nbytes, s.operations + 2 * s.results)
    return needed, Issued(across * (3 * M + s.windows) + down * K * D + M * D, M * D, *shared)


@costs_of(conv2d.input_gradient_cuda)
def input_gradient(frames, W, F, C, I, J, D, st, sf) -> Cost:
    """One product for each pair of remainders of an input position, divided by the strides."""
    s = Sizes(frames, F, C, I, J, D, st, sf)
    _, frame, length = frames.astype(np.int64).T
    across, reads, writes, tiles, steps = blocks(C, tile.TILE_N), 0, 0, 0, 0
    for rt in range(st):
        nt, _, shift_t = conv2d.taps(rt, (I - 1) // 2, I, st)
        real = frame * st + rt < length
        taps_t = (overlap(frame + shift_t, nt, blocks(length, st)) * real).sum()
        for rf in range(sf):
            nf, _, shift_f = conv2d.taps(rf, (J - 1) // 2, J, sf)
            bins = len(range(rf, F, sf))
            taps_f = overlap(np.arange(bins) + shift_f, nf, blocks(F, sf)).sum()
            M, K = len(frame) * bins, nt * nf * D
            down = blocks(M, tile.TILE_M)
            reads += across * (3 * M + 2 * int(taps_t * taps_f) * D) + down * K * C
            writes += int(real.sum()) * bins * C
            tiles += down * across
            steps += down * across * blocks(K, tile.TILE_K)
    elements = 2 * s.results + W.size + s.input
    needed = Needed(elements * W.itemsize + frames.nbytes, s.operations + s.results)
    return needed, Issued(reads, writes, *add(around_the_loop(tiles), shared_by(steps)))


@costs_of(conv2d.weight_gradient_cuda)
def weight_gradient(frames, sums, part, F, C, I, J, D, st, sf) -> Cost:
    s = Sizes(frames, F, C, I, J, D, st, sf)
    K, M = s.positions, I * J * C + 1
    down, across = blocks(M, tile.TILE_M), blocks(D, tile.TILE_N)
    steps, tiles = tile_steps(K, part), down * across
    # windows are looked up before the loop, and again two steps before the current ones are used up
    look_ups = tiles * sum(1 + (n + 1) // (tile.THREADS // tile.TILE_K) for n in steps)
    fetches = tiles * sum(n + 1 for n in steps)
    shared = add(
        (0, look_ups * tile.THREADS * (WINDOW + 1)),
        (fetches * tile.THREADS * (tile.LOADS_M * WINDOW + tile.LOADS_N), 0),
        shared_by(tiles * sum(steps)),
    )
    elements = s.input + 2 * s.results + sums.size
    needed = Needed(elements * sums.itemsize + frames.nbytes, s.operations + 2 * s.results)
    return needed, Issued(across * s.windows + down * K * (3 * across + 2 * D), len(steps) * M * D, *shared)


@costs_of(conv2d.add_weight_gradient_cuda)
def add_weight_gradient(sums, parts, dW, dbias) -> Cost:
    results = dW.size + dbias.size
    return Needed((sums.size + 2 * results) * sums.itemsize, sums.size), Issued((parts + 1) * results, results)


# ---- max pooling: each real element is compared once, and again in the backward pass --------------------------------


def pooled(lengths, T, F, C, I, J) -> tuple[int, int, int]:
    """Real elements of x, real elements of y, and threads, which each read a length: one for each element of y."""
    row = blocks(F, J) * C  # elements of a frame of y
    frames = int((-(-lengths.astype(int) // I)).sum())
    return int(lengths.sum()) * F * C, frames * row, len(lengths) * blocks(T, I) * row


@costs_of(pool.forward_cuda)
def pool_forward(lengths, y, T, F, C, I, J) -> Cost:
    elements, maxima, threads = pooled(lengths, T, F, C, I, J)
    needed = Needed((elements + y.size) * y.itemsize + lengths.nbytes, elements - maxima)
    return needed, Issued(threads + elements + maxima, y.size)  # a window's first element is read twice


@costs_of(pool.backward_cuda)
def pool_backward(lengths, dx, T, F, C, I, J) -> Cost:
    elements, maxima, threads = pooled(lengths, T, F, C, I, J)
    needed = Needed((elements + maxima + dx.size) * dx.itemsize + lengths.nbytes, elements - maxima)
    return needed, Issued(threads + elements + 2 * maxima, dx.size)
