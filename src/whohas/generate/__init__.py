"""Generator of test data: a fictional organization of any size, for demonstrations, tests and benchmarks.

`generate` in `writing` writes the files in chunks of identities. For each chunk, `people`, `assignments` and `grants`
decide who exists and holds which access; `describe`, `accounts`, `activity` and `badges` turn this into columns of
text; `template` makes lines of JSON from them. `catalogue` and `inventory` have the sources, entitlements, roles and
applications; `rng` is the seeded source of randomness.
"""

from whohas.generate.summary import SourceCounts, Summary
from whohas.generate.writing import REFERENCE, generate

__all__ = ["REFERENCE", "SourceCounts", "Summary", "generate"]
