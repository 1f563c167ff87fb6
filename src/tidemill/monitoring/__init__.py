"""The monitoring room: how a model's partitions compare with those that it was trained on.

Pure functions from counts, scores and figures to ``MetricValue``, ``Alert`` and ``Decision``. Nothing here
reads or writes anything, asks what time it is, or imports pandas, scipy or scikit-learn: these functions run
in many short tasks, where an import of a second would outweigh the work.

==================  ==================================================================
``profile``         a training snapshot as bin counts, and other rows counted into them
``drift``           how far a partition's features and scores lie from the reference
``breaks``          features that are not what they were in the partitions before
``performance``     realised quality of a partition whose labels have matured
``calibration``     how probable an outcome is at each score, and how well that is known
``estimate``        quality before labels, from calibrated scores
``change``          a lasting rise of the daily loss
``arrival``         how labels arrive, and which partitions lack some that are usually there
``compute``         seconds and memory of each step against its own past
``growth``          slow growth of a step's seconds or memory
``freshness``       whether the partition came, whole and in time, from the same source and code
``alerts``          the alert rules, what each family means, and when an alert opens or resolves
``retrain_policy``  whether to train a challenger now, and why or why not
==================  ==================================================================
"""
