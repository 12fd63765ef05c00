"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# The machine may be busy with something else: an example that takes long says nothing about the code.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
