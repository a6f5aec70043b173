"""The matrix product: a tile reads its rows of A and its columns of B once."""

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import matmul
from scratchser.kernels.machine.device import blocks
from scratchser.kernels.parts import tile_cuda as tile


def shared_by(steps: int) -> dict[str, int]:
    """Reads and writes of shared memory in so many steps of all blocks together, conv2d's as well: a thread stores what
    it fetched, and reads EACH_M + EACH_N numbers for each of TILE_K."""
    reads = tile.TILE_K * (tile.EACH_M + tile.EACH_N)
    writes = tile.LOADS_M + tile.LOADS_N
    return {"shared_reads": steps * tile.THREADS * reads, "shared_writes": steps * tile.THREADS * writes}


def product_needed(launch: Launch) -> Needed:
    M, N, K, itemsize = (*(launch[name] for name in "MNK"), launch["A"].itemsize)
    parts = blocks(K, launch["part"])
    batch, starts = launch.grid[1] // parts, M * N if launch["pitch"] else N
    numbers = batch * (M * K + K * N + starts + parts * M * N)
    return Needed(numbers * itemsize, batch * 2 * M * N * K)


def product_issued(launch: Launch) -> Issued:
    M, N, K, part = (launch[name] for name in ("M", "N", "K", "part"))
    parts = blocks(K, part)
    batch = launch.grid[1] // parts
    steps = sum(blocks(min(K, first + part) - first, tile.TILE_K) for first in range(0, K, part))
    results = batch * parts * M * N
    return Issued(
        global_reads=batch * K * (M * blocks(N, tile.TILE_N) + N * blocks(M, tile.TILE_M)) + results,
        global_writes=results,
        **shared_by(launch.grid[0] * batch * steps),
    )


def add_parts_needed(launch: Launch) -> Needed:
    sums, results = launch["sums"], launch["batch"] * launch["M"] * launch["N"]
    starts = results if launch["pitch"] else launch["N"]
    return Needed(sums.nbytes + (starts + results) * sums.itemsize, sums.size)


def add_parts_issued(launch: Launch) -> Issued:
    results = launch["batch"] * launch["M"] * launch["N"]
    return Issued(global_reads=results * (1 + launch["parts"]), global_writes=results)


FORMULAS = {
    matmul.product_cuda: (product_needed, product_issued),
    matmul.add_parts_cuda: (add_parts_needed, add_parts_issued),
}
