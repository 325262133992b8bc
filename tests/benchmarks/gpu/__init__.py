"""One sitting of some minutes at a GPU that answers all that is open about it; see `__main__`."""
