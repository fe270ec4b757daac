"""What `manage.py privacy` can do: each module here is one word of it.

A module has a docstring (the help), `arguments(parser)`, and `run(options, stdout)`, which may raise DomainError.
"""
