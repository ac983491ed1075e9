"""Metrics as pure numpy functions, named as in the literature, and thin Keras classes on top."""
