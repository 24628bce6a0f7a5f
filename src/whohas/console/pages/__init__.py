"""The pages of the console: each module with a constant `PAGES` (`whohas.console.view.Pages`) is found by the registry.

A page is one module here and one template of the same name in `templates`.
"""
