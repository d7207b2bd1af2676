"""Texts of SQL that the code puts together from values: read to the character, and written with placeholders."""
