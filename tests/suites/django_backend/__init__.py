"""Django's PostgreSQL backend, which takes the database it is given for its tests' own."""
