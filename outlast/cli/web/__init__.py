"""What the commands serve over HTTP: the codec server, and the limits of every page."""
