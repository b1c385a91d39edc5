"""Many jobs in one process, for cron: the jobs file, its runs, what is known of them, when they are due."""
