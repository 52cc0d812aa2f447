"""Settings for every test."""

import os

from hypothesis import settings

# Read by OpenMP when torch is first imported; as in `stream.cli`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# On a machine that others share, a slow example says nothing about the code.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")
