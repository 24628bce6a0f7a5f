"""Fuzzing of each parser of what others send: `make fuzz`, and a few inputs each in `make test`.

One module a parser, whose `checks()` returns the ways in which it is tried: what hypothesis draws, and a check that
fails where the parser raises another error than the documented one, takes more processor time than an input of that
length may, or says something else than an oracle written here. `drawing.fuzzed` makes many almost valid texts of each
valid one. Add a parser as a module, and its name to `parsers.PARSERS`.

What is found becomes an ordinary test of the parser, with the smallest input that shows it.
"""
