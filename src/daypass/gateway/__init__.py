"""The gateway: clients of databases connect to it with their own protocol and their own name."""
