"""Imported by the process that forks, before the first fork."""

import nursery

nursery.load()
