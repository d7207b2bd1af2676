"""The process that sends a scenario's requests: Locust as a library, started by `drive.run_load` alone.

Nothing outside may import from here: Locust replaces Python's sockets and locks with gevent's.
"""
