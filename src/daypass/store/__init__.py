"""The control-plane store: SQL on PostgreSQL, one module per aggregate."""
