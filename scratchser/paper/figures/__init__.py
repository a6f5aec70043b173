"""Figures 1 to 4 of the paper; a module has `build(...) -> Output`, as those of tables/ have."""
