"""Which step brings what: servers x pools x ways to the database x ways of asking, each measured the same way."""
