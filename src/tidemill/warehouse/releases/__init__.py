"""Releases: register and promote them, and record how each was made."""
