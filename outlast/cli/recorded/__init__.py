"""What the history of a run says, read from the server alone: no worker needs to be there."""
