"""What a file is (`detection`) and its text (`pdf`, `word`, `html`, `text`), as pure functions of its bytes."""
