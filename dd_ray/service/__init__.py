"""Sweeps on a cluster, submitted and followed from elsewhere: `python -m dd_ray.service --help`.

Everything goes over Ray's Jobs API, which the cluster's dashboard serves. What needs the sweep's storage runs
as a short job on the head, since the machine that asks need not see it.
"""
