"""The demo: a sample company, its people and policy, and how it is run."""
