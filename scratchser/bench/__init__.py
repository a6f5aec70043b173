"""python -m scratchser.bench: speed beside PyTorch, SciPy and librosa."""
