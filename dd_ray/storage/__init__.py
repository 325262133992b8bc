"""Where everything is kept: the only part of the package that writes files.

files/        a folder, local or shared, or an object store by URL
sweep_folder  what a sweep keeps there, trial by trial; trial_folders makes the folders of trials that are to begin
versions      the software that a sweep was run with
dsprites      the public dSprites file, checked and unpacked
"""
