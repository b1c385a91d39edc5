"""What people look at: figures, pages that need nothing else, plots for a terminal. Extra `plot`, imported on demand."""
