"""Dense layer."""


def forward(x, W, b):
    """y (B, K) of x (B, D), W (D, K), b (K,)."""
    return x @ W + b
