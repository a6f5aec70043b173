"""The sum of a block's numbers, one of each thread, in shared memory: halves are added to each other until one is left.

    part     │ 0   1   2   3 │ 4   5   6   7 │      part[i] += part[i + half] for i < half = 4
             │ 04  15  26  37│                      then for half = 2
             │ 0426 1537│                           then for half = 1: part[0] is the sum

The order is fixed, so the bits are the same every time; and a sum of n numbers has log2 n roundings in a row, not n.
"""

from scratchser.kernels.machine.compile import cuda, cuda_device


@cuda_device
def fold(part, i):
    """part[0] becomes the sum of part (a power of two), which thread i has written its number to before this call.

    All threads of the block come here, each with its own i; the sum is for thread 0, others need a barrier first.
    """
    half = part.shape[0] // 2
    while half > 0:
        cuda.syncthreads()  # both halves are there
        if i < half:
            part[i] += part[i + half]
        half //= 2
