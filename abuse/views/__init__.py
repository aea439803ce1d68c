"""Pages of the abuse desk: public ones, and the customer's side."""
