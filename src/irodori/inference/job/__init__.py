"""Many photos coloured by one command: found, named, shared out among threads, told of."""
