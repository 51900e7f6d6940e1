"""Memory and devices: what hardware there is, and how much of it is used."""
