"""python -m scratchser.bench: speed beside PyTorch, SciPy and librosa.

problem        the fixed model and utterances, and their useful operations
ours, torch_peers, other_peers    the same tasks with our kernels, with PyTorch, with NumPy, SciPy and librosa
child          a contestant in a separate process
contest        equal answers first, then alternating rounds
clock          time and peak memory
start          time and memory of the first steps in a new process
measure        the sections, as plain dicts
report         the tables
command        what the command does after parsing
cuda/          the CUDA kernels: on a GPU, compiled, counted
"""
