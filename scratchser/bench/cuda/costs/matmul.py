"""The matrix product, of which a tile reads its rows of A and its columns of B once, and the dense layer."""

from scratchser.bench.cuda.costs.launches import Cost, Issued, Needed, costs_of
from scratchser.kernels import linear, matmul
from scratchser.kernels.machine.device import blocks
from scratchser.kernels.parts import tile_cuda as tile


def tile_steps(K: int, part: int) -> list[int]:
    """For each part of the sum over K: steps of TILE_K."""
    return [blocks(min(K, first + part) - first, tile.TILE_K) for first in range(0, K, part)]


def shared_by(steps: int) -> tuple[int, int]:
    """Reads and writes of shared memory in the given number of tile steps.

    A thread writes what it fetched, and reads EACH_M + EACH_N elements for each of TILE_K.
    """
    reads = tile.TILE_K * (tile.EACH_M + tile.EACH_N)
    writes = tile.LOADS_M + tile.LOADS_N
    return steps * tile.THREADS * reads, steps * tile.THREADS * writes


@costs_of(matmul.product_cuda)
def product(launch, A, M, N, K, part, pitch) -> Cost:
    steps = tile_steps(K, part)
    batch = launch.grid[1] // len(steps)
    results = batch * len(steps) * M * N
    start = M * N if pitch else N
    elements = batch * (M * K + K * N + start) + results
    reads = batch * K * (M * blocks(N, tile.TILE_N) + N * blocks(M, tile.TILE_M)) + results
    needed = Needed(elements * A.itemsize, batch * 2 * M * N * K)
    return needed, Issued(reads, results, *shared_by(launch.grid[0] * batch * sum(steps)))


@costs_of(matmul.add_parts_cuda)
def add_parts(sums, parts, M, N, batch, pitch) -> Cost:
    results = batch * M * N
    start = results if pitch else N
    needed = Needed(sums.nbytes + (start + results) * sums.itemsize, sums.size)
    return needed, Issued(results * (1 + parts), results)


@costs_of(linear.forward_cuda)
def dense(x, W, b, y) -> Cost:
    D, operations = len(W), 2 * len(x) * W.size + y.size
    needed = Needed(x.nbytes + W.nbytes + b.nbytes + y.nbytes, operations)
    return needed, Issued(y.size * (1 + 2 * D), y.size)


@costs_of(linear.backward_cuda)
def dense_backward(dy, x, W, db) -> Cost:
    """dW and db accumulate: they are read and written."""
    products = len(x) * W.size
    needed = Needed(dy.nbytes + 2 * x.nbytes + 3 * W.nbytes + 2 * db.nbytes, 4 * products + dy.size)
    return needed, Issued(5 * products + 2 * dy.size, products + x.size + dy.size)
