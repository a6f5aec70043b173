"""Judge a learner's kernel file, python -m scratchser.check FILE, or the files of a class, FOLDER --csv grades.csv.

exercises/   for each exercise: its function, its cases, its reference implementation and its known mistakes
judge/       runs a file with limits on time and memory, and checks it step by step

A mistake is reported only where the learner's numbers are, in every case and to rounding, those of the reference
implementation with just this mistake. Otherwise the judge reports the wrong number, its index and its factor.
The limits stop accidents. They are not a sandbox: judge only files that you would run yourself.
"""
