"""What happens on a host: packages, files, units, releases. Runs there as root, with Debian's own python3.

Imports the standard library, jinja2 and `deploy` alone, so that a host needs nothing else to be deployed to.
"""
