"""The sum over the threads of a block, in shared memory.

    part     │ 0   1   2   3 │ 4   5   6   7 │      part[i] += part[i + half] for i < half = 4
             │ 04  15  26  37│                      then for half = 2
             │ 0426 1537│                           then for half = 1: part[0] is the sum

The order is fixed, so the bits are the same every time. A sum of n elements has log2 n roundings in a row, not n.
"""

from scratchser.kernels.machine.compile import cuda, cuda_device


@cuda_device
def block_sum(part, i):
    """Add up part, whose size is a power of two; part[0] becomes the sum.

    All threads of the block call this, each with its own i, after it has written part[i]. Thread 0 may read the sum at
    once, the others after another barrier.
    """
    half = part.shape[0] // 2
    while half > 0:
        cuda.syncthreads()  # both halves are complete
        if i < half:
            part[i] += part[i + half]
        half //= 2
