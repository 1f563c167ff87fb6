"""Keeping programs running on one machine, without knowing what the programs are.

==============  =====================================================================
``component``   one program: command, environment, how it is stopped
``supervisor``  starts programs, restarts crashed ones, stops all
``client``      starts a supervisor, gives it orders, reads its record
``processes``   identifies, finds and ends the processes of a stack
==============  =====================================================================
"""
