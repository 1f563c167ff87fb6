"""The examples: New York's flights of 2013, an invented shop and network, and a demo that takes the flights through the chain.

=============  ====================================================================
``flights``    loads the flights into the warehouse
``orders``     generates and loads the shop's orders
``customers``  generates and loads the network's customers
``generated``  loads generated tables, once
``models``     which files and data each model consists of
``demo``       trains, predicts, monitors and decides through the real scheduler
``sql``        the tables of the data, and how they are filled
=============  ====================================================================
"""
