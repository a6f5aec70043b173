"""The convolution. Products with the zeros outside of an utterance or a frame are not needed, and ours reads none."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.bench.cuda.costs.matmul import shared_by
from scratchser.kernels import conv2d
from scratchser.kernels.machine.device import blocks
from scratchser.kernels.parts import tile_cuda as tile
from scratchser.kernels.parts.windows_cuda import OWN, WINDOW

SIZES = "T", "F", "C", "I", "J", "D", "st", "sf"


def overlap(first: np.ndarray, count: int, end: np.ndarray | int) -> np.ndarray:
    """How many of first, first + 1 ... first + count - 1 lie in 0 ... end - 1."""
    return np.maximum(0, np.minimum(first + count, end) - np.maximum(first, 0))


def read_by_windows(launch: Launch) -> int:
    """Numbers of x that the windows of all real output positions hold, each as often as it is in one."""
    _, F, C, I, J, _, st, sf = (launch[size] for size in SIZES)
    _, frame, length = launch["frames"].astype(np.int64).T
    taps = overlap(frame * st - (I - 1) // 2, I, length).sum()
    return int(taps * overlap(np.arange(blocks(F, sf)) * sf - (J - 1) // 2, J, F).sum() * C)


def real_input(launch: Launch) -> int:
    """Numbers of x up to the utterances' ends."""
    frames = launch["frames"].astype(np.int64)
    return int(frames[frames[:, 1] == 0, 2].sum()) * launch["F"] * launch["C"]


def real_positions(launch: Launch) -> int:
    return len(launch["frames"]) * blocks(launch["F"], launch["sf"])


def multiplied(launch: Launch) -> int:
    """Multiplications and additions: a number of a window meets D weights, in each of the three products."""
    return 2 * read_by_windows(launch) * launch["D"]


def of_a_block() -> dict[str, int]:
    """Accesses to shared memory around the loop: windows and places are written, read into registers, and read in the
    end."""
    return {
        "shared_reads": tile.THREADS * (OWN[0] * WINDOW + tile.EACH_M),
        "shared_writes": tile.THREADS * (WINDOW + 1),
    }


def in_total(*parts: tuple[int, dict[str, int]]) -> dict[str, int]:
    """The sum of n times each part."""
    names = ("shared_reads", "shared_writes")
    return {name: sum(times * part[name] for times, part in parts) for name in names}


def forward_needed(launch: Launch) -> Needed:
    x, results = launch["x"], real_positions(launch) * launch["D"]
    numbers = real_input(launch) + launch["W"].size + launch["bias"].size + results
    return Needed(numbers * x.itemsize + launch["frames"].nbytes, multiplied(launch) + 2 * results)


def forward_issued(launch: Launch) -> Issued:
    M, D, K = real_positions(launch), launch["D"], launch["I"] * launch["J"] * launch["C"]
    down, across = blocks(M, tile.TILE_M), blocks(D, tile.TILE_N)
    return Issued(
        global_reads=across * (3 * M + read_by_windows(launch)) + down * K * D + M * D,
        global_writes=M * D,
        **in_total((down * across, of_a_block()), (1, shared_by(down * across * blocks(K, tile.TILE_K)))),
    )


def input_gradient_needed(launch: Launch) -> Needed:
    gradients = real_positions(launch) * launch["D"]
    numbers = 2 * gradients + launch["W"].size + real_input(launch)
    return Needed(numbers * launch["dy"].itemsize + launch["frames"].nbytes, multiplied(launch) + gradients)


def input_gradient_issued(launch: Launch) -> Issued:
    _, F, C, I, J, D, st, sf = (launch[size] for size in SIZES)
    _, frame, length = launch["frames"].astype(np.int64).T
    across, reads, writes, active, steps = blocks(C, tile.TILE_N), 0, 0, 0, 0
    for rt in range(st):
        nt, _, shift_t = conv2d.taps(rt, (I - 1) // 2, I, st)
        real = frame * st + rt < length
        taps_t = (overlap(frame + shift_t, nt, blocks(length, st)) * real).sum()
        for rf in range(sf):
            nf, _, shift_f = conv2d.taps(rf, (J - 1) // 2, J, sf)
            bins = len(range(rf, F, sf))
            M, K = len(frame) * bins, nt * nf * D
            taps_f = overlap(np.arange(bins) + shift_f, nf, blocks(F, sf)).sum()
            down = blocks(M, tile.TILE_M)
            reads += across * (3 * M + 2 * int(taps_t * taps_f) * D) + down * K * C
            writes += int(real.sum()) * bins * C
            active += down * across
            steps += down * across * blocks(K, tile.TILE_K)
    return Issued(global_reads=reads, global_writes=writes, **in_total((active, of_a_block()), (1, shared_by(steps))))


def weight_gradient_needed(launch: Launch) -> Needed:
    gradients, sums = real_positions(launch) * launch["D"], launch["sums"]
    numbers = real_input(launch) + 2 * gradients + sums.size
    return Needed(numbers * sums.itemsize + launch["frames"].nbytes, multiplied(launch) + 2 * gradients)


def weight_gradient_issued(launch: Launch) -> Issued:
    K, M, D, part = real_positions(launch), launch["I"] * launch["J"] * launch["C"] + 1, launch["D"], launch["part"]
    down, across = blocks(M, tile.TILE_M), blocks(D, tile.TILE_N)
    steps = [blocks(min(K, first + part) - first, tile.TILE_K) for first in range(0, K, part)]
    # windows are looked up in front of the loop, and in every step two before those of the last time are used up
    ahead = tile.THREADS // tile.TILE_K
    looked_up = down * across * sum(1 + (n + 1) // ahead for n in steps)
    fetched = down * across * sum(n + 1 for n in steps)
    look_up = {"shared_reads": 0, "shared_writes": tile.THREADS * (WINDOW + 1)}
    fetch = {"shared_reads": tile.THREADS * (tile.LOADS_M * WINDOW + tile.LOADS_N), "shared_writes": 0}
    shared = in_total((looked_up, look_up), (fetched, fetch), (1, shared_by(down * across * sum(steps))))
    return Issued(
        global_reads=across * read_by_windows(launch) + down * K * (3 * across + 2 * D),
        global_writes=len(steps) * M * D,
        **shared,
    )


def add_weight_gradient_needed(launch: Launch) -> Needed:
    sums, results = launch["sums"], launch["dW"].size + launch["dbias"].size
    return Needed((sums.size + 2 * results) * sums.itemsize, sums.size)


def add_weight_gradient_issued(launch: Launch) -> Issued:
    results = launch["dW"].size + launch["dbias"].size
    return Issued(global_reads=(launch["parts"] + 1) * results, global_writes=results)


FORMULAS = {
    conv2d.forward_cuda: (forward_needed, forward_issued),
    conv2d.input_gradient_cuda: (input_gradient_needed, input_gradient_issued),
    conv2d.weight_gradient_cuda: (weight_gradient_needed, weight_gradient_issued),
    conv2d.add_weight_gradient_cuda: (add_weight_gradient_needed, add_weight_gradient_issued),
}
