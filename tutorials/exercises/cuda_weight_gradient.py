"""Exercise: the gradient of a dense layer's weights, the batch in parts. Judge it by

python -m scratchser.check tutorials/exercises/cuda_weight_gradient.py
"""

from numba import cuda, float32  # noqa: F401, float32 is for cuda.shared.array((PARTS, PARTS), float32)

EXERCISE = "cuda_weight_gradient"
PARTS = 4  # of the batch; a block has PARTS x PARTS threads; any number from 2 to 8 must work


@cuda.jit
def cuda_weight_gradient(x, dy, dW):
    """dW[d, k] += Σ_b x[b, d] dy[b, k].

    x    (B, D)   float32, one row for each utterance
    dy   (B, K)   float32, gradient of the scores
    dW   (D, K)   float32, contains a gradient already, which stays in the sum

    The sum over a large batch is long, but one thread for each weight is too few to occupy a GPU. So PARTS threads
    share a weight. Part s has n = ⌈B / PARTS⌉ utterances, the last parts may have fewer or none:

        sum of part s   = Σ x[b, d] dy[b, k]  for  s n <= b < (s + 1) n
        dW[d, k]       += sum of part 0 + sum of part 1 + ... + sum of part PARTS - 1

    Launched with (⌈K / PARTS⌉, D) blocks of (PARTS, PARTS) threads: cuda.grid(1) counts the classes k, cuda.blockIdx.y
    is the feature d, and cuda.threadIdx.y is the part s. The last block of a row may have more columns than classes.

    Every thread writes the sum of its part to shared memory. After a barrier, one thread for each weight adds the parts
    in the order 0, 1, 2, ... With atomic additions, the threads would add in any order, and the last digits would
    differ from run to run. The judge refuses atomic additions, and finds two threads that write to one weight.
    """
    raise NotImplementedError
