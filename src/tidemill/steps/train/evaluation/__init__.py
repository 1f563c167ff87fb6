"""Parts of an evaluation that look at columns: slices and groups of rows, and groups of features."""
