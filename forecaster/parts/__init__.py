"""The parts as plain NumPy and Keras, for one's own code: supervised windows of a table, and networks as Keras models."""
