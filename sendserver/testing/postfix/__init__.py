"""Two real Postfix instances out of Debian's packages as the portal's two relays; nothing is installed."""
