"""Content of a campaign: merge language, body, text part, and the compiler that previews, tests and lanes share."""
