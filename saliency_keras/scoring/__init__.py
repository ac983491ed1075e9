"""Saliency predictors against fixations: scores of a set, a table and a figure of them."""
