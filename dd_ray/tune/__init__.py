"""Sweeps on Ray: besides `dd_ray.service`, the only part of the package that imports it.

Before Ray is imported   environment, joining, signals
The cluster              cluster, nodes, autoscaler, sharing
Trials in Ray Tune       run, rounds, in_order, rungs, progress, trainable; for a search run_search, searcher
Packs                    pack_actors
"""
