"""Predict the emotion of sound files with the models of a run.

__main__   the command python -m scratchser.predict
ensemble   all models of a run vote with all copies of a file
"""
