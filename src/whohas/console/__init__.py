"""The web console: HTML pages at `/console` for people.

A request to the console passes the middlewares of the API up to authentication (`whohas.api`), then::

    app         finds the page, and answers errors with a page
    session     finds the user by the cookie of the session
    view        checks the user's rights and the token of a form, and calls the function of the page
    pages       one module a page: it calls the functions that the routes of the API call, and renders a template

`assets` serves style sheets and scripts, `rendering` has the filters of the templates.
"""
