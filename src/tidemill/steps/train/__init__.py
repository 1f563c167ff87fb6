"""Steps of the train chain, and of the decision to retrain."""
