"""The judge: what is right and wrong in a learner's file.

limits     runs child in a separate process, so that an endless loop or a crash becomes a finding
child      what this process does
judge      the steps of judging a file
source     which exercise the file contains
learner    loads the file, finds its function, explains its errors
cpu        checks a function of arrays
cuda       checks a CUDA kernel under the tracer
compare    which element is wrong, and by what factor
recognise  which known mistakes give these numbers
padding    whether a function reads past the end of an utterance
timing     the learner's time beside that of the package's kernel
verdict    the findings, as text and as a row of a class's table
"""
