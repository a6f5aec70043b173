"""python -m scratchser.paper: every table and figure of the paper as one command, a file each.

A file has `build(...) -> Output`. What needs trained models has `SETTINGS` too, the settings whose runs it reads; runs
that several of them read are made once (sweep.py). `need(corpus)` refuses a corpus that a command can do nothing with.
"""
