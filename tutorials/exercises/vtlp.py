"""Exercise: the warp of the frequency axis, eq. (4) of the paper. Judge it by

python -m scratchser.check tutorials/exercises/vtlp.py
"""

import numpy as np

EXERCISE = "vtlp"


def vtlp(S: np.ndarray, alpha: float) -> np.ndarray:
    """The warped spectrogram Y (T, F) of S (T, F), of its dtype.

        G(f) = α f                                             f ≤ f0,   f0 = 0.9 fmax
        G(f) = (fmax - α f0) / (fmax - f0) (f - f0) + α f0     f > f0

        Y[t, k] = (1 - w) S[t, i] + w S[t, i + 1],   i + w = G⁻¹(k),  0 ≤ i ≤ F - 2

    S, Y    (T, F)   frame t, frequency bin k; float32 or float64
    f, f0   ()       in bins, fmax = F - 1
    alpha   ()       α, 0.9 ... 1.1

    G maps a frequency to its new one: what S has at f, Y has at G(f). So Y at bin k is S at G⁻¹(k). G has two straight
    parts, and so has G⁻¹. Where is its hinge?
    """
    raise NotImplementedError
