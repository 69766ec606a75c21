"""What the papers printed, what they said, and how to make it again: one YAML a paper, read into `items`."""
