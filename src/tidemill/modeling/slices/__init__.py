"""Parts of the rows: where a model is weakest, and the figures of groups of rows."""
