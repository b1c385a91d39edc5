"""Measures the error of forecasts: test windows, baselines, metrics, calibrated intervals, reports."""
