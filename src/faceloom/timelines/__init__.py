"""When who is seen: stretches of videos by person or track, and the files that other programs read them from."""
