"""One file for each proof; ``registry`` names them."""
