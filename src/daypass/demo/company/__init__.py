"""The sample company's database: SQL that makes it, and the loader that runs it."""
