"""Pages of campaigns, one module a page."""
