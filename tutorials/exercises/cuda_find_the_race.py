"""Exercise: find the race in a given kernel, and fix it. Judge it by

python -m scratchser.check tutorials/exercises/cuda_find_the_race.py
"""

from numba import cuda, float32

EXERCISE = "cuda_find_the_race"
THREADS = 8  # of a block, at least as many as frames; any number from 2 to 64 must work


@cuda.jit
def cuda_find_the_race(x, rounds, y):
    """y = x, smoothed over the frames in several rounds:

        part[t] = (part[t] + part[t + 1]) / 2      in each round, from the values before the round.
                                                   The last frame keeps its value

    x, y     (B, T)   float32, T <= THREADS, for example the energy of each frame; y contains arbitrary numbers
    rounds   ()       number of rounds

    Launched with B blocks of THREADS threads: cuda.blockIdx.x is the utterance, cuda.threadIdx.x the frame.

    The kernel below has a race. Its results are right in many runs: the threads of a warp often run in step, so all of
    them read before one writes. But this is not guaranteed, and different warps do not run in step.

    Read the kernel first. Which line has the race, between which two threads? Write down your answer. Then delete the
    line with `raise` and run the judge: it names the lines and the threads, and --draw race.svg draws them. Change the
    kernel until the judge finds no race. The barriers must be reached by all threads of the block.
    """
    raise NotImplementedError
    part = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    b = cuda.blockIdx.x
    T = x.shape[1]
    if t < T:
        part[t] = x[b, t]
    cuda.syncthreads()
    for _ in range(rounds):
        if t + 1 < T:
            part[t] = float32(0.5) * (part[t] + part[t + 1])
        cuda.syncthreads()
    if t < T:
        y[b, t] = part[t]
