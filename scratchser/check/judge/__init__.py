"""The judge: what is right and wrong in a learner's file.

limits     runs the judge in a process of its own, so that an endless loop or a crash ends in a finding
child      what runs in that process
judge      the judgement, step by step
learner    the learner's file: loading it, and what its errors mean
cpu        the checks of a function of arrays
cuda       the checks of a CUDA kernel, traced
compare    which element is wrong, by what factor, after which known mistake
timing     the time beside ours
verdict    findings, their text, and a table for a class
"""
