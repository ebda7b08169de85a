"""Commands by which people decide: approve, deny, edit, answer, pause, and the audit of it all."""
