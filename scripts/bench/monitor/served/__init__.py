"""What Gunicorn serves: the shop as it comes, `watched:application`, and `unwatched:application`."""
