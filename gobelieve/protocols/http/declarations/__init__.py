"""Declarations of the HTTP API: shapes of values, parameters, bodies, answers, operations, routes.

The router checks requests by them, the OpenAPI document shows them, and mypy checks handlers
against them.
"""
