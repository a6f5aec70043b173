"""Nesterov's method as in textbooks: the gradient is computed ahead of the parameters, at θ + μ v."""


def textbook(theta, gradient, learning_rate, momentum, steps):
    """θ after each step of v = μ v - ρ gradient(θ + μ v), θ = θ + v, starting with v = 0; yields (θ, v)."""
    v = 0 * theta
    for _ in range(steps):
        v = momentum * v - learning_rate * gradient(theta + momentum * v)
        theta = theta + v
        yield theta, v


def step(W, v, dW, learning_rate, l2, momentum):
    """(W, v) after g = dW + λ W, v = μ v + g, W = W - ρ (g + μ v)."""
    g = dW + l2 * W
    v = momentum * v + g
    return W - learning_rate * (g + momentum * v), v
