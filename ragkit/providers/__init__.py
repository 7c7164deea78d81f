"""What talks to services behind the net: one door (http), formats as pure functions (wire), and the services."""
