"""PgBouncer's templates, as package data; `deploy.render` fills them in."""
