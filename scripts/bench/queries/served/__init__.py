"""What Gunicorn serves while requests are measured: `bare:application` and `shop:application`."""
