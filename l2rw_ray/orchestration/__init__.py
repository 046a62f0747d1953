"""Planning a study and running it on Ray; the only package that imports ray or optuna.

Importing the package itself, or `plan`, imports neither.
"""
