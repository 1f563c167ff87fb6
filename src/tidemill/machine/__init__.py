"""What programs need of their machine: private files, ports of 127.0.0.1, other accounts, waiting for each other."""
