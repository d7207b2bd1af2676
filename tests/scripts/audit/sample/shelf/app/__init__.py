from flask import Flask

from app import config
from app.db import close_db


def create_app():
    app = Flask(__name__)
    app.config.from_object(config)
    app.teardown_appcontext(close_db)
    from app.books import pages
    from app.loans import loans
    from app.reports import reports
    app.register_blueprint(pages)
    app.register_blueprint(loans, url_prefix="/loans")
    app.register_blueprint(reports)
    return app
