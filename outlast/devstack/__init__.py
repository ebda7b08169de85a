"""The embedded stack: dev server, local model and worker in one supervised process tree, with its state in one folder."""
