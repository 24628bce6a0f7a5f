"""The query language of SEARCH_EXPORT: text to tree, tree to predicate, and the index that both run over."""
