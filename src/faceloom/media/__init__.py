"""Pictures and videos as frames: finding them, counting them, cutting them into chunks, reading them."""
