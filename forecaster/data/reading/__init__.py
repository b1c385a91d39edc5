"""Reads a file or a data frame into a panel. Faults are given with their lines."""
