"""Networks as Keras Functional graphs, built from small `x -> x` functions with deterministic layer names."""
