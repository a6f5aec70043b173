EXERCISE = "nesterov"


def nesterov(W, V, dW, ends, learning_rate, l2, momentum):
    start = 0
    for s in range(len(ends)):
        end = ends[s]
        for i in range(start, end):
            g = dW[i] + l2[s] * W[i]
            V[i] = momentum * V[i] + g
            W[i] -= learning_rate[s] * (g + momentum * V[i])
            dW[i] = 0
        start = end
