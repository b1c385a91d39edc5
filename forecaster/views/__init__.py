"""What people look at: figures, pages of one file each, plots for a terminal. Extra `plot`, imported on demand."""
