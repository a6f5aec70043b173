"""A learner's kernel file, judged: python -m scratchser.check FILE, or a whole class's: FOLDER --csv grades.csv.

    exercises/     what each exercise asks for: its function, cases, truth, and the mistakes that have a name
    limits -> child -> judge      a process of its own with limits, and what happens in it
    judge -> cpu | cuda           the steps of the judgement
    compare        learner's numbers beside the true ones
    verdict        what comes out; screen and grades show it

A mistake is named where the learner's numbers are, in every case and to rounding, those of a truth with just this
mistake; otherwise the numbers, their place and their factor are all that is said. The process is held to its time and
memory, and that is all: it is no cage for files from people whom one does not trust.
"""
