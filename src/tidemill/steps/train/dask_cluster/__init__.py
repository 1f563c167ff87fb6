"""Training of trees on a Dask cluster, an extra; importing the package does not load Dask, so the tracker stays small."""
