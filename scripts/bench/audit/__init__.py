"""`harden audit` beside bandit, ruff and semgrep, on repositories whose faults were labelled by hand.

    labels       what is known of each repository: labels.json, and amendments.json with what we hold against it
    checkouts    the repositories' code, fetched when asked
    tools        runs each tool, and translates its rules into ours
    corpus       from the audit's JSON to rows that can be scored
    scoring      recall, precision, traps
    bars         what has to be reached
    result, table, command

None of the labelled code is stored here, and none of it is executed.
"""
