"""Monitoring: how a model's partitions compare with its training data.

Pure functions from counts, scores and figures to ``MetricValue``, ``Alert`` and ``Decision``. Nothing here
does I/O, reads the clock, or imports pandas, scipy or scikit-learn. These functions run in many short tasks,
where an import that takes a second would cost more than the work.

==================  ==================================================================
``profile``         a training snapshot as bin counts, and other rows counted into them
``distances``       how far two samples lie apart, from counts in the same bins
``counting``        columns as numbers or levels, their groups, and their usual variation
``drift``           how far a partition's features and scores lie from the reference
``breaks``          features that suddenly differ from the preceding partitions
``performance``     realised quality of a partition whose labels have matured
``recent``          quality over the newest matured partitions
``skew``            whether scored rows equal the rows that training would read today
``calibration``     probability of an outcome at each score, with its error
``estimate``        quality before labels, from calibrated scores
``change``          a lasting rise of the daily loss
``arrival``         how labels arrive, and which partitions have fewer labels than usual at their age
``compute``         time and memory of each step compared with its past runs
``growth``          slow growth of a step's time or memory
``freshness``       whether the partition is complete, on time, and from the same source and code
``alerts``          the alert rules, what each family means, and when an alert opens or resolves
``retrain_policy``  whether to train a challenger now, with reasons
==================  ==================================================================
"""
