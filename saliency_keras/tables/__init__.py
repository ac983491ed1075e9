"""A paper's table, from its plan to its files: the runs that it needs, what they say, and the figures."""
