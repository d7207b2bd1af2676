"""What a missing index would bring: by HypoPG, on a throw-away copy, or by estimate; and what its writes cost."""
