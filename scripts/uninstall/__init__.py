"""`harden uninstall`: takes an app off a host, and leaves its data unless told otherwise."""
