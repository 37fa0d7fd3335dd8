"""The embedded stack: a real PostgreSQL and a real Valkey out of PyPI wheels, and every process of Personalize beside
them, started and stopped as one. Used by `make run`, `make test` and `make demo`; production uses docker-compose.yml.

Imports nothing of Django: it must be able to say what is wrong before the settings can be read.
"""
