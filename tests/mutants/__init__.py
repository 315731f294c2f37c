"""Take each protection away in turn: a named test must fail."""
