"""The metrics room: each figure about the quality of scores is defined once, for acceptance, monitoring and retraining.

=====================  ==================================================================================
``definitions``        every metric by task: its formula, its direction, its range; importable without numpy
``own``                metrics that are a function of the user
``rows``               labels and scores of each task, read so that a formula is one line
``statistic``          a figure under any weights of the rows, and the influence of each row on it
``calibration_error``  the statistic of the expected calibration error
``blocks``             standard errors from leaving out one block of time at a time
``student``            quantiles of Student's t distribution
``staleness``          the loss of older releases, by age and per day of age
``evaluation``         metrics with intervals, for the whole and by slice
``differences``        two models on the same rows
``sequential``         intervals that hold at every look
``expected``           a metric as a model's own scores lead one to expect
``gaps``               groups of rows beside all others
=====================  ==================================================================================

A metric that the rows do not define (no row, a single class, a score that is not a number) is NaN. It is never an exception
or a flattering default: a decision on NaN fails closed.

This package imports nothing by itself, since specs are parsed with ``definitions``, in every task and in every DAG file.
"""
