"""The example: New York's flights of 2013, and a demo that takes them through the whole chain.

===========  ====================================================================
``flights``  loads the data into the warehouse
``demo``     trains, predicts, monitors and decides through the real scheduler
``sql``      the tables of the data, and how they are filled
===========  ====================================================================
"""
