"""irodori trains, compares and uses networks that colour black-and-white photographs."""
