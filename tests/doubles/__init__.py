"""Stand-ins for outside services, as real servers on the loopback."""
