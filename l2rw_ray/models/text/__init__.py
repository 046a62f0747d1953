"""Networks of token ids, trained from scratch; what they compute of a text does not depend on its padding."""
