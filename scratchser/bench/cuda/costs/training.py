"""The ends of a training step: softmax and loss, gradient norms, update."""

from scratchser.bench.cuda.costs.features import chunk_sums
from scratchser.bench.cuda.costs.launches import Cost, Issued, Needed, costs_of
from scratchser.kernels import nesterov, norms, softmax


@costs_of(softmax.forward_cuda)
def probabilities(z) -> Cost:
    """Maximum, difference, exponential, sum, quotient. p is divided in place."""
    return Needed(2 * z.nbytes, 5 * z.size), Issued(3 * z.size, 2 * z.size)


@costs_of(softmax.loss_cuda)
def loss(z, w) -> Cost:
    B = len(z)
    return Needed(3 * z.nbytes + 2 * w.nbytes, 12 * z.size), Issued(8 * z.size + B, 3 * z.size + B)


@costs_of(norms.chunks_cuda)
def squares(launch, chunks, sums) -> Cost:
    return chunk_sums(launch, chunks, sums, width=1, operations=2)


@costs_of(norms.segments_cuda)
def segment_squares(sums, ends, squares) -> Cost:
    G = ends.size
    return Needed(sums.nbytes + ends.nbytes + squares.nbytes, sums.size), Issued(2 * G - 1 + sums.size, G)


@costs_of(nesterov.step_cuda)
def update(launch, W) -> Cost:
    """Weights, velocities and gradients are read and written. Each thread also reads its chunk, segment and rates."""
    return Needed(6 * W.nbytes, 8 * W.size), Issued(3 * W.size + 5 * launch.all_threads, 3 * W.size)
