"""`harden doctor`: looks at a live database, and says what it lacks, with the proof and the exact fix."""
