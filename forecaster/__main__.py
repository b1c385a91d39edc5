"""`python -m forecaster` is the `forecaster` command."""

from forecaster.cli.main import main

if __name__ == "__main__":  # tools import every module
    main()
