"""The sample company, its people, tags and policy."""
