"""Fitted trees and encoders compiled to tables: the same bits as the library, in a fraction of the time."""
