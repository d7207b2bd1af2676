"""What the audited project is: its modules, functions, calls, and the values that flow between them."""
