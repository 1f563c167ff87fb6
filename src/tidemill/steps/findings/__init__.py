"""What ``inspect`` looks at before publication and ``monitor`` after it: reference, counts, usual rows, thresholds, alerts."""
