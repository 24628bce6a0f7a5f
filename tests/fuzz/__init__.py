"""Fuzzing of each parser of what others send: `make fuzz`, and a few inputs each in `make test`.

One module a parser: a strategy that mostly draws what the parser takes, and a check that holds the parser to an oracle
where there is one. What it finds becomes an ordinary test of the parser, with the smallest input that shows it.
"""
