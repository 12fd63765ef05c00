"""Fault campaigns. They import the collection as Ansible does, from the place where `make venv` links it."""

from __future__ import annotations

import sys
from pathlib import Path

_COLLECTIONS = str(Path(__file__).resolve().parent.parent.parent / ".build" / "collections")
if _COLLECTIONS not in sys.path:
    sys.path.append(_COLLECTIONS)
