"""The warp: a number from two neighbours, so the memory is all that counts."""

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import vtlp


def _frames(launch: Launch) -> int:
    """Real ones of a batch."""
    return int(launch["lengths"].sum())


def forward_needed(launch: Launch) -> Needed:
    Y = launch["Y"]
    return Needed(2 * Y.nbytes, 4 * Y.size)  # 1 - w, two products and their sum; G⁻¹ may come from a table


def forward_issued(launch: Launch) -> Issued:
    return Issued(global_reads=2 * launch["Y"].size, global_writes=launch["Y"].size)


def backward_needed(launch: Launch) -> Needed:
    dS = launch["dS"]
    return Needed(2 * dS.nbytes, 5 * dS.size)  # every dY goes to two neighbours: 1 - w, two products, two sums


def backward_issued(launch: Launch) -> Issued:
    return Issued(global_reads=2 * launch["dY"].size, global_writes=launch["dS"].size)


def batch_needed(launch: Launch) -> Needed:
    X, utterances = launch["X"], (launch["starts"], launch["lengths"], launch["alphas"])
    pixels = _frames(launch) * X.shape[2]
    return Needed(pixels * X.itemsize + X.nbytes + sum(array.nbytes for array in utterances), 6 * pixels)


def batch_issued(launch: Launch) -> Issued:
    X, frames = launch["X"], _frames(launch)
    threads = launch.blocks * launch.threads
    return Issued(
        global_reads=threads + frames * (2 * launch.threads + 2 * X.shape[2]),  # lengths; starts and alphas; pixels
        global_writes=X.size,
    )


FORMULAS = {
    vtlp.forward_cuda: (forward_needed, forward_issued),
    vtlp.backward_cuda: (backward_needed, backward_issued),
    vtlp.batch_cuda: (batch_needed, batch_issued),
}
