"""Migrations of the control-plane store: SQL files run by Alembic."""
