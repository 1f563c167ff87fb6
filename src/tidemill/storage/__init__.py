"""Snapshots, bundles and reports on a folder: digest, write aside, rename last.

What is stored is never changed; its name is the SHA-256 of its content.
"""
