"""Column counts: Arrow columns as numbers or levels, their groups, and their usual variation in the past."""
