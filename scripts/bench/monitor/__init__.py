"""What watching queries costs: processor time per query, memory, and the shop's throughput.

plan       how much is measured
ways       the cursors that are compared; lines: the lines of an app that ask
worker     the process in which all ways take turns
serving    the shop under load, watched and not
bars       what has to be reached
result, table, command
"""
