"""Runs when a release is made: sizing, rendering, the Gunicorn config. Never imported by the app."""
