"""Pictures in, compact data sets out: what `saliency_keras.data` reads."""
