"""The spectrogram: sound is read and logarithms are written, everything between stays in a block's shared memory."""

import math

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import stft


def forward_needed(launch: Launch) -> Needed:
    x, w, hop, Y = (launch[name] for name in ("x", "w", "hop", "Y"))
    (T, bins), N = Y.shape, w.size
    samples = (T - 1) * min(hop, N) + N  # that lie in a frame
    transform = N + 5 * N * int(math.log2(N)) // 2  # window; a real transform's usual count
    return Needed(samples * x.itemsize + w.nbytes + Y.nbytes, T * (transform + 5 * bins))  # power 3, floor, log


def forward_issued(launch: Launch) -> Issued:
    (T, bins), N = launch["Y"].shape, launch["w"].size
    passes, odd = divmod(int(math.log2(N)) - 1, 2)  # of radix 4, of radix 2
    turns = passes * N // 8 * 3
    return Issued(
        global_reads=T * (2 * N + 2 * turns + 2 * bins),
        global_writes=T * bins,
        shared_reads=T * ((passes + odd) * N + 4 * bins),
        shared_writes=T * (1 + passes + odd) * N,
    )


FORMULAS = {stft.forward_cuda: (forward_needed, forward_issued)}
