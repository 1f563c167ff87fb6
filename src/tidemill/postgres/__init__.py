"""Postgres from a wheel: a server of our own for the local stack, simulations and tests.

================  ==================================================================
``cluster``       where its programs and data are, which account runs it, its command
``server``        a running server: readiness, roles, databases, connections
``passwords``     password files of its roles
``throwaway``     a server that exists only as long as a block
================  ==================================================================
"""
