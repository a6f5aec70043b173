"""The tables and figures of the paper, each a command of python -m scratchser.paper.

tables/    tables 1 to 6, and depth, pooling, normalisation         sweep      the runs that they share
figures/   figures 1 to 4                                           scores     WA and UA in rows and columns
tune       choose settings with the speakers of some sessions       estimate   how long the training would take
claims/    the paper's claims on synthetic corpora                  output     tables and figures as files
commands   what a command does after its arguments are parsed
"""
