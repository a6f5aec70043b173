"""What every part of the package uses and what knows nothing about speech.

files         files written whole or not at all, locks, JSON
terminal      messages, progress bars, standard output
gpu           which device a run computes on, and why a GPU is not available
environment   versions, commit and machine of a run
suggest       the nearest known name for a wrong one
"""
