"""What the loop fixers know: the statements that a loop runs, with which values of its rows."""
