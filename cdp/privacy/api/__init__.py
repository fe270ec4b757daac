"""The REST API of privacy."""

"""Privacy by REST."""
