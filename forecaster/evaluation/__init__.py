"""How good forecasts are: test windows, baselines, scores, intervals, reports."""
