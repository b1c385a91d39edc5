"""The factory: cells, heads, encoder, losses, distributions and the network that joins them; its export."""
