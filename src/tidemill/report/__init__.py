"""Pictures, pages and model cards, made from plain values.

Nothing here reads a database, a snapshot or a clock: the same values give the same bytes. ``charts`` is the
only module that imports Altair; ``pages`` and ``card`` take finished SVG text and import quickly.
"""
