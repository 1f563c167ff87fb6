"""Pictures, pages and model cards, made from plain values.

Nothing here reads a database, a snapshot or a clock: the same values give the same bytes. ``charts`` is the
one module that imports Altair; ``pages`` and ``card`` take finished SVG text and are light to import.
"""
