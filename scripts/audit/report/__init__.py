"""An audit's findings in the forms that people and programs read; each module is one form with a `render`."""
