"""Storage: the only part of the package that writes files.

files/          a folder, local or shared, or an object store by URL
sweep_folder    what a sweep keeps there, and where each of its files lies
names           the names of these files
trial_records   what it keeps of each trial; trial_folders makes the folders of trials that are to begin
trial_attempts  when and where workers trained a trial
records         the shapes of a sweep's JSON files, and what is said of one that is damaged
seals           checksums that bind the records of a trial to each other
starts          the weights that trials begin with, where these are of another sweep
versions        the software that a sweep was run with
archives        a sweep as one zip file
exports         what a command leaves for its user beside a sweep
private         files and folders that this user alone may read
gpu_attempts    what ended a process on this machine's GPU, and is not tried again
cache           the folder of this user's cache
dsprites        the public dSprites file, checked and unpacked
arrays          files of images of one's own, checked
"""
