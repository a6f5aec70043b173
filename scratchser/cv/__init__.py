"""The main job: leave-one-speaker-out cross-validation."""
