"""The leak suite: hostile statements run against any session of any grant, judged by the truth.

`python -m tests.leaks --help` runs it against a grant; `make leaks` against the sample company.
"""
