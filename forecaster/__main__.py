"""`python -m forecaster` is the `forecaster` command."""

from forecaster.cli import main

main()
