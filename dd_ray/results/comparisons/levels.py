"""The chances of an error that tests take."""

LEVEL = 0.05
"""Chance of a false mark on a map; intervals have a confidence of 1 less this."""
CLEARLY = 0.01
"""Chance that cells of equal variances count as unlike their references; it costs as many maps their certainty."""
