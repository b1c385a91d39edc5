"""The version of the program, which models, ledgers of work and workers name."""

__version__ = "0.1.0"
