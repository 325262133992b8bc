"""Upkeep of existing sweeps.

removal   trials removed, with what Optuna was told of them
merging   the trials of several sweeps copied into a new one
archive   a sweep packed into one file, and unpacked
at_rest   no other command runs or writes a sweep meanwhile
"""
