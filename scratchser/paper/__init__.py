"""The tables and figures of the paper, each a command of python -m scratchser.paper."""
