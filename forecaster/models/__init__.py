"""The networks: cells, heads, encoder, losses and distributions, the network that joins them, and its export."""
