"""Fitted trees and encoders compiled to tables: bit-identical to the library, in a fraction of the time."""
