"""Counting columns: Arrow columns as numbers or levels, their groups, and what was usual in the past."""
