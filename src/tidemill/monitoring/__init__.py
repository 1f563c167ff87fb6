"""The monitoring room: what a model's days look like against the days it was trained on.

Pure functions from counts, scores and figures to ``MetricValue``, ``Alert`` and ``Decision``. Nothing here
reads or writes anything, asks what time it is, or imports pandas, scipy or scikit-learn: these functions run
in many short tasks, where an import of a second would outweigh the work.

==================  ==================================================================
``profile``         a training snapshot as bin counts, and other rows counted into them
``drift``           how far a partition's features and scores lie from the reference
``breaks``          features that are not what they were in the partitions before
``performance``     realised quality of a partition whose labels have matured
``arrival``         how labels arrive, and which partitions lack some that are usually there
``compute``         seconds and memory of each step against its own past
``freshness``       whether the partition came, whole and in time, from the same source and code
``alerts``          which of these figures a person should look at, and what to do
``families``        what each family of rules means
``persistence``     what becomes of alerts from one partition to the next
``retrain_policy``  whether to train a challenger now, and why or why not
==================  ==================================================================
"""
