import numpy as np

EXERCISE = "vtlp"


def vtlp(S, alpha):
    T, F = S.shape
    fmax = F - 1
    hinge = alpha * 0.9 * fmax
    Y = np.empty_like(S)
    for k in range(F):
        if k <= hinge:
            source = k / alpha
        else:
            source = fmax - (fmax - k) / (10 - 9 * alpha)
        i = min(int(source), F - 2)
        w = source - i
        for t in range(T):
            Y[t, k] = (1 - w) * S[t, i] + w * S[t, i + 1]
    return Y
