"""Settings for every test."""

import os

# Read by OpenMP when torch is first imported; as in `stream.cli`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
