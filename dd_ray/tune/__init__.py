"""Sweeps on Ray: besides `dd_ray.service`, the only part of the package that imports it.

Before Ray is imported   environment, joining, signals; private has every name that Ray may change
The cluster              cluster, nodes, autoscaler, sharing
Trials in Ray Tune       run, rounds, searcher, rungs, progress, trainable
Packs                    pack_actors
"""
