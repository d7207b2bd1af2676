from flask import Blueprint, jsonify, render_template, request

from app import queries

pages = Blueprint("pages", __name__)


@pages.route("/")
def index():
    books = queries.all_books()
    for book in books:  # fault: n-plus-one
        book["author"] = queries.author_of(book["author_id"])
    return render_template("index.html", books=books)


@pages.route("/search")
def search():
    return jsonify(queries.find_books(request.args["q"], request.args.get("order", "id")))


@pages.route("/some", methods=["POST"])
def some():
    return jsonify(queries.books_of([int(each) for each in request.form.getlist("id")]))


@pages.route("/books/<int:book_id>/copies")
def copies(book_id):
    shelves = [copy["shelf"] for copy in queries.copies_of(book_id)]
    return jsonify(sorted(set(shelves)))
