"""Snapshots, bundles and reports in a folder: compute the digest, write to a temporary folder, rename last.

Stored content never changes; its name is its SHA-256.
"""
