"""Training of trees on a Dask cluster, which is an extra; the package loads none of it, so that the tracker stays small."""
