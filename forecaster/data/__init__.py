"""What is known of the series: panel, windows, calendar, covariates, frequency, time zones."""
