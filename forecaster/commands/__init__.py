"""One module for each command: what it does, from its settings to its result. Nothing is printed here."""
