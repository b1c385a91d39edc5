"""One module per command, from its settings to its result. Nothing is printed here."""
