"""Published predictions: publish a run, count its rows, and trace a row back to its origin."""
