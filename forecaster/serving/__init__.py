"""Stored models and what they forecast: store, manifest, runtimes, prediction, intervals, ledger."""
