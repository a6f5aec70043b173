"""Reports about finished and unfinished runs."""
