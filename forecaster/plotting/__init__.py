"""Figures, HTML pages and terminal plots. Their libraries are the extra `plot` and are imported on demand."""
