"""Search: the query language of SEARCH_EXPORT and of the search API, and the index that queries run on.

A query's text is cut into tokens (`lexer`), parsed into a syntax tree (`parser`, `ast`), resolved to criteria on index
fields (`predicate`, `criteria`), and compiled to SQL (`sql`, `export`). `service.plan_search` runs all of these steps.
"""
