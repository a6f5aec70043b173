"""The main job: leave-one-speaker-out cross-validation.

__main__, options   the command line               command      what the command does
prepare             everything before training     experiment   trains runs and reports each
fold                one fold in its folder         workers      folds in worker processes
cluster, fold_job   folds on many machines
"""
