"""Upkeep of sweeps that there are.

removal   trials removed, with what Optuna was told of them
merging   the trials of several sweeps copied into a new one
archive   a sweep as one file, and taken out of it again
at_rest   no other command runs or writes a sweep meanwhile
"""
