"""The commands that start the workflows of this application, the pages of their results, and its demo."""
