"""What a run leaves on the disk.

folder           begin or continue a folder of results, or refuse to
run, fold_dir    the folder of a run, and of one of its folds
result           the contents of result.json
tuned_settings   settings that were tuned on some speakers
published        the paper's own results
"""
