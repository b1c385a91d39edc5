"""What a night in production does to a program: kills, full disks, late files, flipped bytes. See `__main__`."""
