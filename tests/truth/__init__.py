"""The formulas once more: slow, plain NumPy, one utterance after the other, written without a look at the kernels.

The tests compare the kernels with them. Those of the trained ops take complex arguments too, for
scratchser.gradcheck.complex_step.
"""
