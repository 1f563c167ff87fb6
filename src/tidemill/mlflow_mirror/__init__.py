"""The mirror in MLflow: trainings, releases and daily pages, written after the ledger. Nothing here decides."""
