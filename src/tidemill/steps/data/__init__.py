"""Steps on data, shared by training and scoring: extract and validate rows, and read features and labels."""
