"""Run folders: what a training wrote, and who reads it: labels, predictions, a classifier for photographs."""
