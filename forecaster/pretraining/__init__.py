"""Networks that are trained on made series only: the generator of the series, the training and its artifacts."""
