"""`harden up APP`: any Flask app, unedited, under Gunicorn with pooled connections."""
