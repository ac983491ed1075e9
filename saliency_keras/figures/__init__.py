"""Figures: a run folder in, a picture out."""
