"""Cells, heads and transforms; the network, its fitting and its artifact."""
