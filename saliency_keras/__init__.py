"""Saliency-guided image classification: does telling a network where people look make it classify better?

The flow, in the order of the tree: pictures -> `data_prep` -> compact data set -> `data` (reader) ->
`models` (networks) -> `training` (run folder) -> `figures`. The commands beside this file parse, call and print.
"""

__version__ = "0.1.0"
