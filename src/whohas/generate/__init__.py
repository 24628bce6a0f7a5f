"""A believable organisation of any size, for demonstrations, tests and measurements: all of it is made up."""

from whohas.generate.summary import SourceCounts, Summary
from whohas.generate.writing import REFERENCE, generate

__all__ = ["REFERENCE", "SourceCounts", "Summary", "generate"]
