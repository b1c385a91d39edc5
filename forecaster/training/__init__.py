"""From a panel to a stored version: plan, fits, selection, ensemble, publishing, promotion."""
