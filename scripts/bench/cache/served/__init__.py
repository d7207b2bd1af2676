"""What Gunicorn serves: the shop's profile for who brings a token, cached and not."""
