"""`python -m forecaster` is the `forecaster` command."""

from forecaster.cli.main import main

main()
