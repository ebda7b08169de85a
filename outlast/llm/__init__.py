"""The seam to the model: `base` names what is asked of it, `claude` asks the API, `scripted` is its offline twin."""
