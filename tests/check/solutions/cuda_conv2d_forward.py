from numba import cuda

EXERCISE = "cuda_conv2d_forward"
THREADS = 8


@cuda.jit
def cuda_conv2d_forward(x, lengths, W, bias, st, sf, y):
    n = cuda.grid(1)
    t, b = cuda.blockIdx.y, cuda.blockIdx.z
    F, D = x.shape[2], W.shape[3]
    pt, pf = (W.shape[0] - 1) // 2, (W.shape[1] - 1) // 2
    f, d = n // D, n % D
    length = lengths[b]
    frames = (length + st - 1) // st
    if f < y.shape[2] and t < frames:
        total = bias[d]
        for i in range(W.shape[0]):
            u = t * st + i - pt
            for j in range(W.shape[1]):
                v = f * sf + j - pf
                if 0 <= u and u < length and 0 <= v and v < F:
                    for c in range(x.shape[3]):
                        total += x[b, u, v, c] * W[i, j, c, d]
        y[b, t, f, d] = max(total, 0)
