"""Helpers of all commands that do not depend on speech.

files         files that are complete or absent, the lock of a folder, JSON and .npz
terminal      messages, tables and progress bars
errors        errors that end a command, and its exit code
gpu           the device of a run, and why a GPU cannot be used
plots         matplotlib with its own settings, not the user's
environment   versions, commit and machine of a run
suggest       the nearest known name for a wrong one
"""
