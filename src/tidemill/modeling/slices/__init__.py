"""Parts of the rows: where a model is weakest, and how groups of rows fare."""
