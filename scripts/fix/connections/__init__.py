"""What the fixers of connections share: where apps are adopted, and how statements are put around others."""
