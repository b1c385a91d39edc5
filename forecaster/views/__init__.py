"""What people look at: figures, pages that stand for themselves, plots for a terminal. Extra `plot`, imported on demand."""
