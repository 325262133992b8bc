"""Submits sweeps to a cluster and follows them from elsewhere: `python -m dd_ray.service --help`.

Everything uses Ray's Jobs API, which the cluster's dashboard serves. Whatever needs the sweep's storage runs as a short
job on the head, since the user's machine need not see it.
"""
