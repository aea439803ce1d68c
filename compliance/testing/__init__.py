"""Made-up uploads with a known truth, for whatever judges uploads. No code of the product imports this room."""
