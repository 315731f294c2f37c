"""Just-in-time access to databases, enforced by the database itself."""

__version__ = "0.1.0"
