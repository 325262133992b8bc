"""A sweep as one page to look through: its numbers, its pictures, and the HTML around them.

content   a sweep's numbers as one dictionary, rounded by digits; metrics, explained and timeline are parts of it
pictures  what the networks of its cells show; the only part that needs PyTorch
page      both in one HTML file, with the scripts of `js/`; packing makes the numbers small
live      the page of a sweep that runs, written by its driver
about     what the sweep is: its question, command, versions, machine
front     the page that lists the sweeps of a storage; beside is that of two of them
server    the same for browsers of this machine, with the numbers of the moment
command   `python -m dd_ray.report`
"""
