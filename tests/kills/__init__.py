"""Kill a real process at every step of applying and revoking; see what a new one makes of it."""
