"""Predict the emotion of sound files with the models of a run."""
