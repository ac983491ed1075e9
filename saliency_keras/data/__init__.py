"""Compact data sets: what a record and a manifest are, and how batches are read from them."""
