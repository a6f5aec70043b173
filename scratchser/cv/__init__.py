"""The main job: cross-validation over speakers."""
