"""What can be wrong with a service before and after it is installed: each check is a function in one table.

Imports the standard library and `deploy` alone, and changes nothing on a host: what has to run runs on a copy.
"""
