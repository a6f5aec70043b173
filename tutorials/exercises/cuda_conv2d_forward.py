"""Exercise: the strided convolution as a CUDA kernel, one thread for each element of its output. Judge it by

python -m scratchser.check tutorials/exercises/cuda_conv2d_forward.py
"""

from numba import cuda

EXERCISE = "cuda_conv2d_forward"
THREADS = 8  # of a block; any number from 1 to 64 must work


@cuda.jit
def cuda_conv2d_forward(x, lengths, W, bias, st, sf, y):
    """y[b, t, f, d] = ReLU( bias[d] + Σ_i Σ_j Σ_c x[b, t st + i - pt, f sf + j - pf, c] W[i, j, c, d] )

    x         (B, T, F, C)    frame, frequency bin, input channel; float32
    lengths   (B,)            int32: frames of each utterance. What lies past them in x is padding: it reads as 0
    W         (I, J, C, D)    kernel, time x frequency;   bias (D,)
    st, sf    ()              strides in time and in frequency
    y         (B, T', F', D)  T' = ⌈T / st⌉, F' = ⌈F / sf⌉; from frame ⌈length / st⌉ on nothing is written
    pt, pf    ()              ⌊(I - 1) / 2⌋ and ⌊(J - 1) / 2⌋

    Launched with (⌈F' D / THREADS⌉, T', B) blocks of THREADS threads: cuda.grid(1) counts the elements of one frame,
    f D + d, cuda.blockIdx.y is t and cuda.blockIdx.z is b.
    """
    raise NotImplementedError
