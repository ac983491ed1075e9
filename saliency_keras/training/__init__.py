"""Training a network into a run folder: the loop, exact resume, schedules and weight surgery."""
