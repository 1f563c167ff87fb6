"""Steps of the predict chain: resolve a release, score a partition, publish it."""
