"""Time series in memory: panel, windows, calendar, covariates, frequency, time zones. `reading` reads them from files."""
