"""Sweeps on a cluster to which everything happens."""
